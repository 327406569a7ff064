from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from runs_core.serve.signals import INTERRUPTED, stopping

STUBBORN = """
import time
from runs_core.serve.signals import stopping
with stopping() as stop:
    print("ready", flush=True)
    stop.event.wait(30)
    print("asked", flush=True)
    time.sleep(30)
"""


def test_a_signal_only_sets_a_flag_and_wakes_who_waits() -> None:
    woken = threading.Event()
    with stopping(signal.SIGUSR1) as stop:
        stop.tell(woken.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert woken.wait(10)
        assert stop.asked
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_second_signal_ends_the_process_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == INTERRUPTED
