"""The placeholder in `env` for a binding that wakeful does not provide: using it raises.

A Worker with such a binding starts, and its code works as long as it does not use the binding.
"""

from __future__ import annotations

from typing import Any, NoReturn

from wakeful.workers.config.support import Missing
from wakeful.workers.proxies import JsException, JsProxy


class MissingBinding(JsProxy):
    """`env.AI`, for example: reading a member of it, or calling it, raises.

    Its truth value is True, and `constructor` and `repr` work: code may inspect it.

    Args:
        missing: what is not provided.
        place: where it stands; by default in `env`.
    """

    def __init__(self, missing: Missing, place: str | None = None) -> None:
        self._missing = missing
        self._place = place or f"env.{missing.name}"

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Raise.

        Raises:
            JsException: says what is not provided.
        """
        self._refuse("")

    def __getitem__(self, key: object) -> NoReturn:
        self._refuse(f"[{key!r}]")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python itself asks, whether it can copy it, say
            raise AttributeError(name)
        self._refuse(f".{name}")

    def __repr__(self) -> str:
        return f"<{self._missing.name}: wakeful does not provide {self._missing.what}>"

    def _refuse(self, member: str) -> NoReturn:
        missing, place = vars(self)["_missing"], vars(self)["_place"]
        raise JsException(
            f"{place}{member}: wakeful does not provide {missing.what}, so this cannot be used "
            "here. The configuration asks for it, and the Worker was started without"
        )
