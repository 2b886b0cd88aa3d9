"""Where wakeful logs, when structlog is configured and when it is not."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from wakeful.log import logger


@pytest.fixture
def unconfigured() -> Iterator[None]:
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


def fail(password: str) -> None:
    raise ValueError("no")


@pytest.mark.usefixtures("unconfigured")
def test_unconfigured_program_gets_plain_lines_of_logging(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        fail(password="".join(("hun", "ter2")))  # a traceback with locals would show it
    except ValueError as error:
        logger().error("a call failed", actor="Box/a%s", exc_info=error)
    logger("wakeful.actor").bind(type="Box").warning("look")
    (failed, look) = caplog.records
    assert failed.name == "wakeful"
    assert failed.getMessage() == "a call failed actor='Box/a%s'"
    assert failed.levelno == logging.ERROR
    assert failed.exc_info is not None
    assert "ValueError: no" in caplog.text
    assert "hunter2" not in caplog.text
    assert (look.name, look.getMessage()) == ("wakeful.actor", "look type='Box'")
    assert capsys.readouterr().out == ""


def test_configured_program_gets_its_own() -> None:
    with structlog.testing.capture_logs() as seen:
        logger().warning("look", n=1)
    assert seen == [{"event": "look", "n": 1, "log_level": "warning"}]
