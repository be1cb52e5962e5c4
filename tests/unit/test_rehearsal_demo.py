"""The demo promises what its registries and companies keep, and ends clearly where it cannot begin."""

import re
import socket
import time
from types import SimpleNamespace
from typing import cast

import pytest

from backendify.rehearsal import demo
from backendify.rehearsal.behaviour import Outcome
from backendify.rehearsal.companies import isle_of_man
from backendify.settings import Settings


def test_its_companies_are_what_it_says() -> None:
    register, now_ns = isle_of_man(), time.time_ns()
    closed, later = register[demo.CLOSED].closing, register[demo.CLOSES_LATER].closing
    assert closed
    assert not closed.lies_ahead_of(now_ns)
    assert later
    assert later.lies_ahead_of(now_ns)
    assert register[demo.NEVER_CLOSES].closing is None
    assert demo.UNKNOWN not in register
    assert demo.SLOW in register


def test_its_registries_draw_what_it_says() -> None:
    for country, number in (
        ("im", demo.CLOSED),
        ("im", demo.CLOSES_LATER),
        ("im", demo.UNKNOWN),
        ("ru", demo.NEVER_CLOSES),
    ):
        turn = demo.CAST[country].behaviour.turn(number, 0)
        assert turn.outcome is Outcome.ANSWER
        assert turn.latency_s < 0.6
    for nth in range(3):
        turn = demo.CAST["us"].behaviour.turn(demo.SLOW, nth)
        assert turn.outcome is Outcome.ANSWER
        assert turn.latency_s > 1


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("0.0.0.0", "http://localhost:9000"),
        ("::", "http://localhost:9000"),
        ("127.0.0.1", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
    ],
)
def test_what_it_says_to_try_is_for_its_own_address(host: str, base: str) -> None:
    told = demo.welcome(host, 9000)
    urls = re.findall(r"curl -i '([^']*)'", told)
    assert len(urls) == 10
    assert all(url.startswith((base + "/company?", base + "/status")) for url in urls)
    assert all(f"\n  {country}  " in told for country in demo.CAST)


def test_a_port_in_use_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = cast("Settings", SimpleNamespace(host="127.0.0.1", port=port))
        assert demo.run(settings) == 1
    told = capfd.readouterr()
    assert told.err == f"backendify: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert told.out == ""
