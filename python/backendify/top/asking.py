"""Asks a server for its statistics. Whatever it answers, and however slowly, is a reading or a sentence."""

import time
from http import HTTPStatus
from socket import create_connection
from typing import Final

import h11

from backendify.address import Address
from backendify.admin import Stats
from backendify.top.reading import NotStats, to_stats

ANSWER_S: Final = 5.0  # the listener itself gives a client no longer
BODY_BYTES_MAX: Final = 1 << 20  # 255 registries are told in 90 kB


class NoAnswer(Exception):  # noqa: N818 - what happened, not an error of ours
    """Why there is no reading, in a few words."""


def ask(address: Address) -> Stats:
    """Ask for one reading. Raises :class:`NoAnswer`."""
    try:
        body = _get(address, ends_at_s=time.monotonic() + ANSWER_S)
    except TimeoutError:
        raise NoAnswer(f"nothing whole within {ANSWER_S:g} s") from None
    except OSError as error:
        raise NoAnswer(error.strerror or type(error).__name__) from None
    except h11.RemoteProtocolError:
        raise NoAnswer("no whole answer in HTTP") from None
    try:
        return to_stats(body)
    except NotStats as error:
        raise NoAnswer(f"what answers there is no operators' listener of this version: {error}") from None


def _get(address: Address, *, ends_at_s: float) -> bytes:
    """Get the body of /stats."""
    parser = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET",
        target="/stats",
        headers=[("Host", str(address)), ("Accept", "application/json"), ("Connection", "close")],
    )
    body = bytearray()
    with create_connection(address, timeout=ANSWER_S) as connection:
        connection.sendall(parser.send(request) + parser.send(h11.EndOfMessage()))
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                connection.settimeout(_left_s(ends_at_s))
                parser.receive_data(connection.recv(1 << 16))
            elif isinstance(event, h11.Response) and event.status_code != HTTPStatus.OK:
                raise NoAnswer(f"what answers there says {event.status_code} to /stats")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES_MAX:
                    raise NoAnswer(f"its answer is over {BODY_BYTES_MAX >> 20} MiB")
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return bytes(body)


def _left_s(ends_at_s: float) -> float:
    left_s = ends_at_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
