"""Where wakeful logs, when structlog is configured and when it is not."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import wakeful
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


def test_nothing_is_logged_past_it() -> None:
    """structlog's own default shows local variables; the command line has configured it."""
    package = Path(wakeful.__file__).parent
    sources = [path for path in package.rglob("*.py") if "cli" not in path.parts]
    past = [path.name for path in sources if "structlog.get_logger" in path.read_text()]
    assert past == ["log.py"]
