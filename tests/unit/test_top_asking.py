"""Whom `backendify top` may meet at an address: no answer of a stranger's is more than a sentence."""

import contextlib
import socket
import threading
import time

import pytest

from backendify.address import Address
from backendify.top import asking
from backendify.top.asking import NoAnswer, ask


def complaint(reply: bytes, *, drip: bytes = b"") -> str:
    """Ask one who says this, and then no more or a little now and then: the sentence it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stranger = threading.Thread(target=meet, args=(listener, reply, drip), daemon=True)
        stranger.start()
        with pytest.raises(NoAnswer) as caught:
            ask(Address("127.0.0.1", listener.getsockname()[1]))
        stranger.join(30)
        assert not stranger.is_alive()
    return str(caught.value)


def meet(listener: socket.socket, reply: bytes, drip: bytes) -> None:
    connection, _ = listener.accept()
    asked = b""
    with connection, contextlib.suppress(ConnectionError):
        while not asked.endswith(b"\r\n\r\n"):
            asked += connection.recv(1024)
        connection.sendall(reply)
        while drip:
            time.sleep(0.01)
            connection.sendall(drip)


OK = b"HTTP/1.1 200 OK\r\n"
NO_HTTP = "no whole answer in HTTP"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"HTTP/1.1 404 \x1b[2J\r\n\r\n", "what answers there says 404 to /stats"),
        (b"HTTP/1.1 404 Gone away\r\n\r\n", "what answers there says 404 to /stats"),
        (b"HTTP/1.1 301 X\r\nLocation: /\r\n\r\n", "what answers there says 301 to /stats"),
        (b"HTTP/1.1 101 X\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 100 X\r\n\r\n" * 3, NO_HTTP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NO_HTTP),
        (b"", NO_HTTP),
        (OK + b"X: " + b"x" * 100_000, NO_HTTP),
        (OK + b"Content-Length: 9\r\n\r\n{}", NO_HTTP),
        (OK + b"Content-Length: -1\r\n\r\n{}", NO_HTTP),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", NO_HTTP),
        (OK + b"\r\n" + b" " * 2_000_000, "its answer is over 1 MiB"),
        (OK + b"\r\n<\x1b[2J>", "what answers there is no operators' listener of this version: not JSON"),
        (OK + b"\r\n{}", "what answers there is no operators' listener of this version: cache is no object"),
    ],
)
def test_a_stranger_is_a_sentence(reply: bytes, expected: str) -> None:
    assert complaint(reply) == expected


@pytest.mark.parametrize("reply", [b"", OK, OK + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"])
def test_who_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.1)
    drip = b"1\r\nx\r\n" if b"chunked" in reply else b"x"
    assert complaint(reply, drip=drip) == "nothing whole within 0.1 s"


def test_a_name_that_nobody_knows_is_a_sentence() -> None:
    with pytest.raises(NoAnswer):
        ask(Address("no.such.host.invalid", 1))
