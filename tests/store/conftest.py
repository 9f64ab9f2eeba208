"""What the store's tests share."""

import os

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_sync():
    """Save the time of syncing to disk: nothing here has to outlive the system."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
