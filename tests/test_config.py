"""Settings are checked where they are made, by name."""

import msgspec
import pytest

from wakeful import Config, ConfigError, Limits


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", None, True])
def test_limit_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name} must be"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["mailbox", "active_actors", "calls_waiting", "request_bytes"])
def test_count_is_a_whole_number(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name} must be a whole number, not 1\.5"):
        Limits(**{name: 1.5})


@pytest.mark.parametrize("value", [0, -1, "5", float("inf"), None])
def test_idle_seconds_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="idle_seconds must be"):
        Config(idle_seconds=value)  # type: ignore[arg-type]


def test_time_may_be_a_whole_number() -> None:
    assert Config(idle_seconds=5, limits=Limits(turn_seconds=5)).limits.turn_seconds == 5


@pytest.mark.parametrize("kind", [Config, Limits])
def test_unknown_setting_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="mailboxes"):
        kind(mailboxes=5)


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Config().idle_seconds = 5  # type: ignore[misc]


def test_strict_recovery_is_a_flag() -> None:
    assert Config().strict_recovery is False
    with pytest.raises(ConfigError, match="strict_recovery must be True or False, not 1"):
        Config(strict_recovery=1)  # type: ignore[arg-type]
