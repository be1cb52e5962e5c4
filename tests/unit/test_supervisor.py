"""Who is forked again, and who ends the service: a supervisor in a process of its own, over workers of a few lines."""

import subprocess
import sys
from textwrap import indent

PROGRAM = """
import os, signal, sys
from backendify.supervisor import Supervisor

def work(index, life):
    os.write(1, f"{{index}} {{life}}\\n".encode())
{work}

sys.exit(Supervisor(2, work, retry_s=0.05).run())
"""


def supervised(work: str) -> tuple[int, list[str]]:
    """Supervise two workers that do this: (exit status, `index life` of each that ran)."""
    program = PROGRAM.format(work=indent(work, "    "))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout.splitlines()


def test_a_successor_that_refuses_is_tried_again_beside_the_others() -> None:
    status, ran = supervised(
        """
if index == 1 and life == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if index == 1 and life < 4:
    return 2
if index == 1:
    os.kill(os.getppid(), signal.SIGTERM)
signal.pause()
"""
    )
    assert (status, sorted(ran)) == (0, ["0 1", "1 1", "1 2", "1 3", "1 4"])


def test_a_first_worker_that_refuses_ends_the_service() -> None:
    status, ran = supervised("if index == 1:\n    return 3\nsignal.pause()")
    assert (status, ran.count("1 1"), "1 2" in ran) == (3, 1, False)


def test_where_nobody_serves_any_more_a_refusal_ends_the_service() -> None:
    status, ran = supervised("if life == 1:\n    os.kill(os.getpid(), signal.SIGKILL)\nreturn 2")
    assert status == 2
    assert {"0 1", "1 1"} < set(ran)
