"""How clients are known: the kinds of the options that say so."""

import ipaddress
import re

from backendify.option import Kind

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


class FieldName(Kind[str]):
    """The name of a header field: a token (RFC 9110 §5.1), in small letters."""

    metavar = "NAME"
    expected = "the name of a header field"

    def parse(self, text: str) -> str:
        """Read a name, in whatever case."""
        if not _TOKEN.fullmatch(text):
            message = "is not the name of a header field"
            raise ValueError(message)
        return text.lower()


class Networks(Kind[tuple[str, ...]]):
    """Networks and addresses, with commas between them; none at all is `off`."""

    metavar = "NETWORKS|off"
    expected = "networks or addresses such as 10.0.0.0/8,fd00::1, or off"

    def parse(self, text: str) -> tuple[str, ...]:
        """Read networks; bits beyond a network's own are refused."""
        if text == "off":
            return ()
        try:
            return tuple(str(ipaddress.ip_network(part.strip())) for part in text.split(","))
        except ValueError:
            message = "names something that is no network"
            raise ValueError(message) from None

    def write(self, value: tuple[str, ...]) -> str:
        """Write networks as they are read."""
        return ",".join(value) or "off"
