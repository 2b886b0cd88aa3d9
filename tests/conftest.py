"""CI draws the same examples every time, so that a red run can be repeated."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")


def short_lines() -> None:
    structlog.reset_defaults()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


short_lines()  # capture_logs() would leave structlog configured to its own taste


@pytest.fixture(autouse=True)
def _the_log_is_as_before() -> Iterator[None]:
    """A command that a test runs configures the log of its process, which is the tests' own."""
    yield
    short_lines()
