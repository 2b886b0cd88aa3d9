"""Every error has a code of its own, a status, a retry class, and its place in the tree."""

import re

import pytest

from wakeful import errors
from wakeful.errors import (
    ActivationAborted,
    ActorRaised,
    InvalidArguments,
    Overloaded,
    Retry,
    WakefulError,
    again,
)


def below(cls: type[WakefulError]) -> list[type[WakefulError]]:
    here = [cls] if cls.__module__ == errors.__name__ else []
    return here + [found for child in cls.__subclasses__() for found in below(child)]


ALL = below(WakefulError)
PICTURE = re.findall(r"[├└]─ (\w+)(?: +(\d+|-))?", errors.__doc__ or "") + re.findall(
    r"(?<=  )(?:├─ |└─ )(\w+) +(\d+|-)", errors.__doc__ or ""
)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_error_has_code_status_and_retry_class(cls: type[WakefulError]) -> None:
    assert re.fullmatch(r"[a-z_]+", cls.code)
    assert 400 <= cls.http <= 599
    assert isinstance(cls.retry, Retry)
    assert cls.__doc__


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in ALL]
    assert sorted(codes) == sorted(set(codes))


def test_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = dict(PICTURE)
    leaves = {cls.__name__ for cls in ALL if cls is not WakefulError}
    assert set(drawn) == leaves
    for cls in ALL:
        status = drawn.get(cls.__name__)
        if status and status != "-":
            assert cls.http == int(status), cls.__name__


def test_unwinding_is_not_caught_by_except_exception() -> None:
    assert not issubclass(ActivationAborted, Exception)


class Own(WakefulError):
    """A user's own, with a constructor like nobody else's."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")
        self.both = (left, right)


@pytest.mark.parametrize(
    "error",
    [
        WakefulError("plain"),
        InvalidArguments("message", field="name"),
        Overloaded("message", retry_after_ns=5),
        ActorRaised("KeyError", "'x'"),
        Own(1, 2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_raised_again_is_an_equal_one(error: WakefulError) -> None:
    error.__cause__ = ValueError("cause")
    twin = again(error)
    assert twin is not error
    assert type(twin) is type(error)
    assert (str(twin), vars(twin), twin.__cause__) == (str(error), vars(error), error.__cause__)
    assert twin.__traceback__ is None
