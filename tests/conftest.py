"""CI draws the same examples every time, so that a red run can be repeated."""

import os

import structlog
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")

# Short lines in every test: capture_logs() would leave structlog configured to its own taste.
structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
