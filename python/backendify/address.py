"""Host names, IP addresses and ports: where to listen, and whom to ask."""

import ipaddress
import re
from typing import NamedTuple

from backendify.option import Kind

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")
_HOST_CHARS_MAX = 253
PORT_MAX = 65_535


class Host(Kind[str]):
    """An IP address or a host name to listen on."""

    metavar = "HOST"
    expected = "an IP address or a host name"

    def parse(self, text: str) -> str:
        """Read a host; an IPv6 address may stand in brackets."""
        return parse_host(text[1:-1] if text.startswith("[") and text.endswith("]") else text)


class Address(NamedTuple):
    """Where to listen; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class HostPort(Kind[Address]):
    """A host and a port to listen on."""

    metavar = "HOST:PORT"
    expected = "HOST:PORT such as 127.0.0.1:9090 or [::1]:9090"

    def parse(self, text: str) -> Address:
        """Read a host and a port."""
        host, colon, port = text.rpartition(":")
        if not colon:
            message = "has no port"
            raise ValueError(message)
        if not _PORT.fullmatch(port) or int(port) > PORT_MAX:
            message = f"has a port that is no number from 0 to {PORT_MAX}"
            raise ValueError(message)
        if ":" in host and not host.startswith("["):
            message = "has a colon too many"
            raise ValueError(message)
        return Address(Host().parse(host), int(port))


def parse_host(text: str) -> str:
    """Read an IP address (IPv6 without brackets) or a host name, in lower case.

    International names become A-labels (RFC 5890). Labels may hold underscores, as in container networks.
    :class:`ValueError` for what no resolver can look up.
    """
    message = "is no host name or IP address"
    if "%" in text:  # zones of IPv6 (RFC 6874) and percent-encoded names
        raise ValueError(message)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    name = text.lower()
    if not name.isascii():
        import idna  # noqa: PLC0415 - 15 ms that only international names need

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:
            raise ValueError(message) from None
    labels = name.removesuffix(".").split(".")
    # A name that ends in a number is a broken IPv4 address (WHATWG URL, host parsing).
    numeric = labels[-1].isdigit()
    if len(name) > _HOST_CHARS_MAX or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(message)
    return name
