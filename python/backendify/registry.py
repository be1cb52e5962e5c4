"""Where one country's registry is, and which header fields it is sent: read from what the user wrote.

The texts may hold secrets, so no message here repeats a URL or the value of a field.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from backendify.address import PORT_MAX, parse_host
from backendify.option import Kind, shown

_COUNTRY = re.compile(r"[A-Za-z]{2}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL_CHARS_MAX = 2048
# RFC 3986 §3.3: segments of pchar; what is outside must come percent-encoded.
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
# RFC 9110 §5.6.2 (token) and §5.5 (field values), the latter without obs-text: it has no agreed meaning.
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_FIELD_NAME_CHARS_MAX = 128
_FIELD_VALUE_CHARS_MAX = 8192
_HIDDEN = "***"
_BAD_HOST = "has a host that is no host name or IP address"
# Fields of the connection (RFC 9110 §7.6.1), of the framing, or that ask for a reply in a form not taken.
_OWN_FIELDS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registry:
    """One country's registry. Questions go to `{base_path}/companies/{id}`."""

    country: str
    """Two lower-case letters."""
    scheme: str
    """`http` or `https`."""
    host: str
    """An IP address (IPv6 without brackets) or a host name in A-labels."""
    port: int
    """1 to 65535; the scheme's own when the URL has none."""
    base_path: str = ""
    """Empty, or percent-encoded, beginning with a slash and not ending with one."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the fields to add to each request. Values are secrets: never shown."""

    @property
    def authority(self) -> str:
        """The `Host` field's value (RFC 9110 §7.2): IPv6 in brackets, the scheme's own port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"{self.scheme}://{self.authority}{self.base_path}"


@dataclass(frozen=True, slots=True)
class RegistryHeader:
    """A header field for the requests to one country's registry."""

    country: str
    name: str
    value: str = field(repr=False)


class RegistryKind(Kind[Registry]):
    """A country and the base URL of its registry, as `us=http://localhost:9002`."""

    metavar = "ISO=URL"
    secret = True
    expected = "iso=url such as us=http://localhost:9002/api, two letters and an http or https URL"

    def parse(self, text: str) -> Registry:
        """Read a pair."""
        country, equals, url = text.partition("=")
        if not equals:
            message = f"{_redacted(text)} has no '='"
            raise ValueError(message)
        if not _COUNTRY.fullmatch(country):
            message = f"{_redacted(country)} before the '=' is not two letters"
            raise ValueError(message)
        try:
            return _parse_url(country.lower(), url)
        except ValueError as error:
            message = f"the URL of {country} {error}"
            raise ValueError(message) from None

    def write(self, value: Registry) -> str:
        """Write a pair."""
        return f"{value.country}={value.url}"

    def split(self, text: str) -> list[str]:
        """Take an environment variable apart at white space."""
        return text.split()


class RegistryHeaderKind(Kind[RegistryHeader]):
    """A header field for one registry, as `us: Authorization: Bearer …`."""

    metavar = "'ISO: NAME: VALUE'"
    secret = True
    expected = "'us: Authorization: …', a country, a header's name and its value"

    def parse(self, text: str) -> RegistryHeader:
        """Read a country, a name and a value."""
        parts = [part.strip(" \t") for part in text.split(":", 2)]
        if not _COUNTRY.fullmatch(parts[0]):
            message = "what stands before the first colon is not two letters"
            raise ValueError(message)
        country = parts[0].lower()
        if len(parts) < 3:  # noqa: PLR2004 - country, name, value
            message = f"the header for {country} has no colon after its name"
            raise ValueError(message)
        name, value = parts[1], parts[2]
        if not _FIELD_NAME.fullmatch(name) or len(name) > _FIELD_NAME_CHARS_MAX:
            message = f"the header for {country} has a name that is no token (RFC 9110)"
            raise ValueError(message)
        if name.lower() in _OWN_FIELDS:
            message = f"the header {name} for {country} is this service's own to send"
            raise ValueError(message)
        if problem := _problem_of_value(value):
            message = f"the header {name} for {country} {problem}"
            raise ValueError(message)
        return RegistryHeader(country, name, value)

    def write(self, value: RegistryHeader) -> str:
        """Write a header with its value hidden: the one kind that `parse` does not take back."""
        return f"{value.country}: {value.name}: {_HIDDEN}"


def _parse_url(country: str, url: str) -> Registry:
    parts = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        message = "does not begin with http:// or https://"
        raise ValueError(message)
    for has, what in (
        ("@" in parts.netloc, "credentials in it (--registry-header can send them)"),
        ("#" in url, "a fragment"),
        ("?" in url, "a query"),
        (not parts.hostname, "no host"),
    ):
        if has:
            message = f"has {what}"
            raise ValueError(message)
    return Registry(
        country=country,
        scheme=parts.scheme,
        host=_host_of(parts),
        port=_port_of(parts),
        base_path=_base_path_of(parts),
    )


def _split(url: str) -> SplitResult:
    if len(url) > _URL_CHARS_MAX:
        message = f"is over {_URL_CHARS_MAX} characters"
        raise ValueError(message)
    # urlsplit drops line ends, tabs and leading spaces without a word.
    if " " in url or not url.isprintable():
        message = "has a space or a character that cannot be printed"
        raise ValueError(message)
    try:
        return urlsplit(url)
    except ValueError:  # its text repeats the URL
        raise ValueError(_BAD_HOST) from None


def _host_of(parts: SplitResult) -> str:
    try:
        host = parse_host(parts.hostname or "")
    except ValueError:
        raise ValueError(_BAD_HOST) from None
    if "[" in parts.netloc and ":" not in host:  # only IPv6 stands in brackets; nobody speaks IPvFuture
        raise ValueError(_BAD_HOST)
    return host


def _port_of(parts: SplitResult) -> int:
    try:
        port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        message = f"has a port that is no number from 1 to {PORT_MAX}"
        raise ValueError(message)
    return port


def _base_path_of(parts: SplitResult) -> str:
    path = parts.path
    if not _PATH.fullmatch(path):
        message = "has a character in its path that must be percent-encoded"
        raise ValueError(message)
    # A registry may decode before it resolves dots (RFC 3986 §6.2.2.3), encoded slashes included: so do we.
    if any(segment in {".", ".."} for segment in re.split(r"[/\\]", unquote(path, errors="replace"))):
        message = "has a dot segment in its path"
        raise ValueError(message)
    return path.rstrip("/")


def _problem_of_value(value: str) -> str | None:
    if not value:
        return "has no value"
    if value == _HIDDEN:
        return "has a hidden value; write the real one"
    if len(value) > _FIELD_VALUE_CHARS_MAX:
        return f"has a value of over {_FIELD_VALUE_CHARS_MAX} characters"
    if not _FIELD_VALUE.fullmatch(value):
        return "has a value with line ends, control characters or letters outside ASCII"
    return None


def _redacted(text: str) -> str:
    """Show a text without what may be credentials or a token in a query."""
    _, at, tail = text.rpartition("@")
    return shown((f"***@{tail}" if at else text).partition("?")[0])
