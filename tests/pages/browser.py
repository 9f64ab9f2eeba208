"""Finds a Chromium to drive, or says why there is none."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
REQUIRE = "VTA_REQUIRE_BROWSER"
"""Set (to anything) where a missing browser is a failure instead of a reason to skip."""


def find_browser():
    """Return the path of a Chromium; without one skip, or fail where one is required."""
    found = os.environ.get("VTA_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "no Chromium found: apt-get install chromium, or set VTA_BROWSER"
        if os.environ.get(REQUIRE):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
