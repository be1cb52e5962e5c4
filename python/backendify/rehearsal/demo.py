"""`backendify demo`: the service in front of three fake, unreliable registries, and what to try with it."""

import sys
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from typing import Final

from backendify import server
from backendify.registry import RegistryKind
from backendify.rehearsal import process
from backendify.rehearsal.behaviour import Behaviour, Shape
from backendify.settings import Settings

CLOSED: Final = "000001C"
CLOSES_LATER: Final = "000001I"
NEVER_CLOSES: Final = "000001P"
UNKNOWN: Final = "999999Z"
SLOW: Final = "025133B"  # `us` draws over a second for each of its first three requests


@dataclass(frozen=True, slots=True)
class Part:
    """What one fake registry plays in the demo, in data and in words."""

    behaviour: Behaviour
    words: str


CAST: Final = {
    "im": Part(
        Behaviour(shape=Shape.V1, latency_median_ms=60, latency_sigma=0.2),
        "V1, 60 ms, reliable",
    ),
    "ru": Part(
        Behaviour(
            shape=Shape.V2, latency_median_ms=350, latency_sigma=0.4, error_share=0.05, hang_share=0.02
        ),
        "V2, 350 ms, 5 % errors, 2 % never answer",
    ),
    "us": Part(
        Behaviour(shape=Shape.SWITCHING, latency_median_ms=600, latency_sigma=0.3, throttle_per_s=20),
        "V1 and V2 in turn, 600 ms, at most 20 requests a second",
    ),
}

# What to ask of the service, and what it shows.
_TRY: Final = (
    (f"/company?id={CLOSED}&country_iso=im", "a company that closed: asked of the registry"),
    (f"/company?id={CLOSED}&country_iso=im", "the same again: a hit, see Cache-Status"),
    (f"/company?id={CLOSES_LATER}&country_iso=im", "closes later: still active"),
    (f"/company?id={NEVER_CLOSES}&country_iso=ru", "never closes, told in the other shape"),
    (f"/company?id={SLOW}&country_iso=us", "its registry takes over a second: 504 before that"),
    (f"/company?id={SLOW}&country_iso=us", "a moment later: a hit, it was fetched all the same"),
    (f"/company?id={UNKNOWN}&country_iso=im", "the registry knows no such company: 404"),
    (f"/company?id={CLOSED}&country_iso=fr", "no registry for that country: 404"),
    ("/company?country_iso=im", "no id: 400"),
    ("/status", "200 while it serves"),
)


def run(settings: Settings) -> int:
    """Serve with these settings, but for the registries, until told to end; the exit status."""
    try:
        port = _free_port(settings.host, settings.port)
    except OSError as error:
        return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
    try:
        with process.started({country: part.behaviour for country, part in CAST.items()}) as urls:
            registries = tuple(RegistryKind().parse(f"{country}={url}") for country, url in urls.items())
            sys.stdout.write(welcome(settings.host, port))
            sys.stdout.flush()
            return server.run(replace(settings, registries=registries), port=port)
    except RuntimeError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:  # before the server took over the signals, or after it gave them back
        return 0


def welcome(host: str, port: int) -> str:
    """Tell what is running and what to try, when the service listens here."""
    host = "localhost" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 (compared, not bound)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    width = max(len(target) for target, _ in _TRY)
    return "\n".join(
        (
            "backendify demo: real companies, with days of closing made up, behind three fake registries",
            *(f"  {country}  {part.words}" for country, part in CAST.items()),
            "",
            "Try this in another terminal:",
            *(f"  curl -i '{url}{target}'{' ' * (width - len(target))}  # {words}" for target, words in _TRY),
            "",
            "Ctrl-C ends it all.",
            "",
        )
    )


def _free_port(host: str, port: int) -> int:
    """Make sure that this port is free, before anything is promised on the terminal; for 0, choose one."""
    with socket(AF_INET6 if ":" in host else AF_INET) as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)  # as servers do: connections just ended do not count
        probe.bind((host, port))
        chosen: int = probe.getsockname()[1]
        return chosen


def _refuse(reason: str) -> int:
    sys.stderr.write(f"backendify: {reason}\n")
    return 1
