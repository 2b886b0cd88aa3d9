"""CI draws the same examples every time: a red run there can be repeated; elsewhere new ones come."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")
