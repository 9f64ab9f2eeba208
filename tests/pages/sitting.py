"""What tests of a sitting wait for, and the truth about the drawn pictures."""

import time
from pathlib import Path

WAIT_S = 60


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def learnt(session):
    until(lambda: session.learner.fit is not None and not session.learner.busy)


def liked(item):
    """Tell the truth about a drawn picture: even numbers are liked."""
    return int(int(Path(item["name"]).stem[1:]) % 2 == 0)
