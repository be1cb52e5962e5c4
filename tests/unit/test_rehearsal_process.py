"""Fake registries in a process of their own: they answer, and they never outlive their parent."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backendify.rehearsal.behaviour import Behaviour, Shape
from backendify.rehearsal.companies import isle_of_man
from backendify.rehearsal.process import started

PARENT = """
import os, sys, time
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.process import started
with started({"im": Behaviour()}) as urls:
    print(urls["im"], flush=True)
    time.sleep(60)
"""


def pid_listening_at(url: str) -> int:
    """Find the process by the socket it listens on."""
    port_hex = f"{httpx.URL(url).port:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    inode = next(row[9] for row in rows if row[1].endswith(":" + port_hex) and row[3] == "0A")  # listening
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) == f"socket:[{inode}]" for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue  # it is gone, or another user's
    raise LookupError(url)


def test_registries_apart_answer_in_their_shapes_and_end() -> None:
    shapes = {"im": Shape.V1, "ru": Shape.V2}
    with started({country: Behaviour(shape=shape) for country, shape in shapes.items()}) as urls:
        assert urls.keys() == shapes.keys()
        for country, url in urls.items():
            assert pid_listening_at(url) != os.getpid()
            reply = httpx.get(url + "/companies/000001P")
            assert reply.headers["content-type"] == f"application/x-company-{shapes[country]}"
            assert isle_of_man()["000001P"].name in reply.json().values()
    for url in urls.values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_registries_apart_die_with_their_parent(death: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert httpx.get(url + "/companies/000001P").status_code == 200
        child = os.pidfd_open(pid_listening_at(url))
        try:
            parent.send_signal(death)
            parent.wait(30)
            assert select.select([child], [], [], 30)[0], "still alive"
        finally:
            os.close(child)


def test_registries_that_cannot_start_say_so(capfd: pytest.CaptureFixture[str]) -> None:
    broken = Behaviour()
    object.__setattr__(broken, "error_share", 2)  # no way past the checks but this one
    with pytest.raises(RuntimeError, match="did not start"), started({"im": broken}):
        pass
    assert "expected 0 to 1" in capfd.readouterr().err
