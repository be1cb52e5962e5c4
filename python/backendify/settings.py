"""Every option, once: flag, environment, TOML, default and `--help` come from this one table.

`configuration` reads it, `docs/settings.md` shows it.
"""

# ruff: noqa: RUF009 - `_option` makes a `dataclasses.field`

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from backendify.address import Address, Host, HostPort
from backendify.client import FieldName, Networks
from backendify.option import (
    AuthorityFile,
    Choice,
    Count,
    Duration,
    File,
    Kind,
    Maybe,
    Raw,
    Size,
    Switch,
)
from backendify.registry import Registry, RegistryHeader, RegistryHeaderKind, RegistryKind

__all__ = ["OPTIONS", "Address", "BadSettings", "Option", "Origin", "Registry", "RegistryHeader", "Settings"]

T = TypeVar("T")
Origin: TypeAlias = Literal["flag", "environment", "file", "default"]


class BadSettings(ValueError):  # noqa: N818 - it reads as what it is: `raise BadSettings`
    """One line that names the option, what is wrong with its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table."""

    field: str
    """The attribute of :class:`Settings`, unit last."""
    key: str
    """The key in a TOML file; flag and environment variable are made from it."""
    kind: Kind[Any]
    default: str | None
    """As a user would write it; none where several values are taken, and there are none by default."""
    help: str
    also: str | None
    """Another environment variable that is read when the option's own is not set."""
    in_file: bool

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, the first that is set and not empty counts."""
        return (f"BACKENDIFY_{self.key.upper()}", *([self.also] if self.also else []))

    @property
    def is_bare_flag(self) -> bool:
        """Whether the flag stands without a value: it asks for an action."""
        return isinstance(self.kind, Switch) and not self.in_file

    @property
    def negative_flag(self) -> str | None:
        """The flag that switches it off, for what is on by default: `--no-lane`."""
        on = isinstance(self.kind, Switch) and self.default == "on"
        return self.flag.replace("--", "--no-", 1) if on else None

    @property
    def takes_many(self) -> bool:
        """Whether the option may be given more than once."""
        return self.default is None


def _option(  # noqa: PLR0913 - the columns of the table
    kind: Kind[T], default: str, text: str, *, key: str = "", also: str | None = None, in_file: bool = True
) -> T:
    metadata = {"kind": kind, "text": default, "help": text, "key": key, "also": also, "in_file": in_file}
    return field(default=kind.parse(default), metadata=metadata, compare=in_file)


def _options(kind: Kind[T], text: str, *, key: str = "") -> tuple[T, ...]:
    return field(default=(), metadata={"kind": kind, "text": None, "help": text, "key": key})


WORKERS_MAX: Final = 63  # so many processes can hold a place in a cache file


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective configuration: each option's value, already read and within its bounds."""

    registries: tuple[Registry, ...] = _options(
        RegistryKind(), 'The registries, one a country. TOML: a table `ru = "http://…"`, or a list of pairs.'
    )
    host: str = _option(Host(), "0.0.0.0", "Listen on this address.")  # noqa: S104 - a service in a container
    port: int = _option(Count(0, 65_535), "9000", "Listen on this port; 0 is any free one.")
    deadline_ms: int = _option(Duration("1ms", "60s"), "900ms", "A customer waits at most so long; then 504.")
    fetch_timeout_ms: int = _option(
        Duration("1ms", "10m"),
        "10s",
        "A fetch ends after so long, whether its customers still wait or have left.",
    )
    connect_timeout_ms: int = _option(
        Duration("1ms", "60s"), "300ms", "Connecting to a registry may take so long."
    )
    tries: int = _option(
        Count(1, 3),
        "3",
        "Ask at most so often for one answer: again when a registry fails, a second time when it is slow.",
    )
    ttl_ms: int = _option(Duration("100ms", "30d"), "24h", "An answer is served from the cache for so long.")
    negative_ttl_ms: int = _option(Duration("0", "30d"), "1h", "The same for a registry's 404; 0 keeps none.")
    stale_if_error_ms: int = _option(
        Duration("0", "30d"), "0s", "Serve an answer for so much longer while its registry fails."
    )
    refresh_ahead: bool = _option(
        Switch(), "on", "Ask anew, before an answer runs out, for what is asked for often."
    )
    lane: bool = _option(
        Switch(), "on", "Answer hits on the server's own thread, before the event loop: 1.7 times as many."
    )
    lame_duck_ms: int = _option(
        Duration("0", "9s"),
        "2s",
        "After SIGTERM, serve on for so long with /status at 503. With --drain at most 9s.",
    )
    drain_ms: int = _option(Duration("0", "9s"), "5s", "Then answer what is in flight for at most so long.")
    cache_bytes: int | None = _option(
        Maybe(Size("1M", "1T"), none="auto"),
        "auto",
        "The cache's size; auto: by the memory limit, and whether it lies on a disk (docs/behaviour.md).",
        key="cache_size",
    )
    cache_path: Path | None = _option(
        Maybe(File(), none="auto"),
        "auto",
        "The cache's file, shared by all workers and kept over restarts; "
        "auto: backendify-PORT.cache in TMPDIR, else in /tmp; with port 0 a file that is removed at the end.",
    )
    workers: int = _option(
        Count(1, WORKERS_MAX), "1", "Worker processes that share the port and the cache; one a CPU is right."
    )
    memory_bytes: int | None = _option(
        Maybe(Size("64M", "1T"), none="auto"),
        "auto",
        "Plan for this memory limit, or the one that is found if that is lower; auto: the one that is found.",
    )
    registry_ca: Path | None = _option(
        Maybe(AuthorityFile(), none="off"), "off", "Trust these certificate authorities too, for registries."
    )
    registry_headers: tuple[RegistryHeader, ...] = _options(
        RegistryHeaderKind(),
        "Send this header to one registry; may be repeated. Never shown. Environment: one a line.",
        key="registry_header",
    )
    transport: Literal["fast", "httpx"] = _option(
        Choice[Literal["fast", "httpx"]](("fast", "httpx")),
        "fast",
        "How registries are asked; httpx: its own transport, slower, for proxies and odd TLS.",
    )
    fetches_max: int = _option(Count(1, 65_536), "1024", "So many fetches at once, over all registries.")
    registry_concurrency: int = _option(Count(1, 10_000), "200", "So many requests at once to one registry.")
    client_rate: int | None = _option(
        Maybe(Count(1, 100_000), none="off"),
        "off",
        "A client may ask so often a second for what is not known yet, ten seconds' worth at once; then 429.",
    )
    client_header: str | None = _option(
        Maybe(FieldName(), none="off"), "off", "Know a client by this header's value, else by its address."
    )
    trusted_proxies: tuple[str, ...] = _option(
        Networks(), "off", "Believe X-Forwarded-For of these proxies, when clients are known by address."
    )
    admin: Address | None = _option(
        Maybe(HostPort(), none="off"),
        "127.0.0.1:9090",
        "The operators' listener: metrics, statistics, health.",
    )
    statsd_server: str | None = _option(
        Maybe(Raw(), none="off"), "off", "Send metrics to this StatsD server.", also="STATSD_SERVER"
    )
    config: Path | None = _option(
        Maybe(File(), none="off"), "off", "Read options from this TOML file.", in_file=False
    )
    print_config: bool = _option(
        Switch(),
        "off",
        "Print the effective configuration as TOML, and where each value is from.",
        in_file=False,
    )
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)
    """Where the value of each key is from; a key that is missing has its default."""
    ignored: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """Environment variables that look like options and are none."""

    @property
    def admin_by_name(self) -> bool:
        """Whether the operators' listener was asked for by name: then a taken port is an error."""
        return self.admin is not None and self.origins.get("admin", "default") != "default"


OPTIONS: Final = tuple(
    Option(
        field=row.name,
        key=row.metadata["key"] or re.sub("_(ms|bytes)$", "", row.name),
        kind=row.metadata["kind"],
        default=row.metadata["text"],
        help=row.metadata["help"],
        also=row.metadata.get("also"),
        in_file=row.metadata.get("in_file", True),
    )
    for row in fields(Settings)
    if row.metadata
)
