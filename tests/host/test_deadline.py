"""A time limit ends what does not return, and leaves the alarms of others as they were."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

import pytest

from collbench.host.deadline import DeadlineError, deadline


def test_what_takes_too_long_is_ended_although_it_catches_exceptions() -> None:
    with pytest.raises(DeadlineError, match=r"it took more than 0\.01 s"), deadline(0.01), suppress(Exception):
        time.sleep(600)


def test_the_alarm_of_others_goes_on() -> None:
    def handler(*_: object) -> None:
        """Never called."""

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 3000, 7)
    try:
        with deadline(600):
            pass
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert (0 < left <= 3000, round(interval)) == (True, 7)
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_there_is_no_limit_outside_the_main_thread() -> None:
    ended = []

    def work() -> None:
        with deadline(1e-6):
            ended.append(signal.getitimer(signal.ITIMER_REAL))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [(0.0, 0.0)]
