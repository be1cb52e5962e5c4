"""`backendify rehearse`: flaky registries and impatient customers, played against a server, and a score."""

import json
import resource
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any, Final
from urllib.parse import urlsplit

from backendify import _core
from backendify.rehearsal import drawn, plan, scored
from backendify.rehearsal.child import Child
from backendify.rehearsal.plot import plotted
from backendify.rehearsal.weighed import Scales
from backendify.settings import BadSettings

_FAILED: Final = 1


class NotReady(Exception):  # noqa: N818 - what happened to the server
    """Why customers cannot begin to come, in one sentence."""


def run(arguments: list[str]) -> int:
    """Rehearse as these arguments say: the exit status. Raises :class:`BadSettings` for wrong ones."""
    wanted = plan.read(arguments)
    if wanted is None:
        return 0
    # However it is told to end, the server that it started ends first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if isinstance(wanted, plan.Draw):
            return _draw(wanted)
        with ExitStack() as ending:
            return _rehearse(wanted, ending)
    except (NotReady, OSError) as error:
        sys.stderr.write(f"backendify: {error}\n")
        return _FAILED


def _rehearse(wanted: plan.Plan, ending: ExitStack) -> int:
    _try_files(path for path, _ in _files(wanted))
    try:
        report = _simulated(wanted) if wanted.simulated else _played(wanted, ending)
    except KeyboardInterrupt:
        if wanted.registries_only:
            return 0
        raise
    verdict = scored.verdict(report, wanted.sla_percent)
    report |= {"profile": wanted.name, "sla_percent": wanted.sla_percent, "verdict": verdict or "met"}
    for path, write in _files(wanted):
        path.write_text(write(report), encoding="utf-8")
    _tell(scored.told(report))
    if verdict:
        sys.stderr.write(f"backendify: {verdict}\n")
        return _FAILED
    return 0


def _draw(wanted: plan.Draw) -> int:
    """Play registries drawn at random: the exit status."""
    _try_files([wanted.json] if wanted.json else [])
    report = drawn.played(wanted)
    if wanted.json:
        wanted.json.write_text(_as_json(report), encoding="utf-8")
    _tell(drawn.profile(wanted) + drawn.told(report))
    if report["verdict"] != "met":
        sys.stderr.write(f"backendify: {report['verdict']}\n")
        return _FAILED
    return 0


def _try_files(paths: Iterable[Path]) -> None:
    """Tell now what cannot be written, not after a minute; what a file holds stays until there is a new score.

    Those that are there were looked at when the arguments were read.
    """
    for path in paths:
        if not path.exists():
            path.touch()
            path.resolve().unlink()


def _played(wanted: plan.Plan, ending: ExitStack) -> dict[str, Any]:
    """Play the profile against a server: the report."""
    stage = Stage(wanted, ending)
    busy_s, began_s = time.process_time(), time.monotonic()
    try:
        report: dict[str, Any] = json.loads(_core.rehearse(wanted.profile, stage.on_listening, stage.on_line))
    except ValueError as error:
        message = f"{wanted.name}: {error}"
        raise BadSettings(message) from None
    busy = (time.process_time() - busy_s) / (time.monotonic() - began_s)
    report["rehearsal_core_percent"] = round(100 * busy, 1)
    if stage.scales:
        report |= stage.scales.told()
    return report


def _simulated(wanted: plan.Plan) -> dict[str, Any]:
    """Play the profile in virtual time: the report."""
    try:
        report: dict[str, Any] = json.loads(_core.simulate(wanted.profile, wanted.policy, _tell))
    except ValueError as error:
        message = f"{wanted.name}, simulated: {error}"
        raise BadSettings(message) from None
    return report | {"simulated": True, "policy": wanted.policy}


class Stage:
    """What `_core.rehearse` calls: brings the server once the registries listen, and tells how it goes."""

    def __init__(self, wanted: plan.Plan, ending: ExitStack) -> None:
        self.scales: Scales | None = None
        self._wanted = wanted
        self._ending = ending

    def on_listening(self, registries: list[tuple[str, str]]) -> str | None:
        """Give the server's address, once it answers; none when nobody is to be asked."""
        pairs = [f"{country}={url}" for country, url in registries]
        _tell(f"registries  {' '.join(pairs)}")
        if self._wanted.registries_only:
            _tell("Ctrl-C ends them.")
            return None
        weighed = self._wanted.memory_of
        if self._wanted.target:
            address = _address(self._wanted.target)
        else:
            child = self._ending.enter_context(_started(pairs, self._wanted.server_options))
            address, weighed = child.address, weighed or str(child.pid)
        _wait_for(address)
        _allow_sockets()
        self.scales = _scales(weighed) if weighed else None
        _tell(f"server      http://{address}")
        return address

    def on_line(self, line: str) -> None:
        """Tell how the last second went."""
        if self.scales:
            weight = self.scales.weigh()
            line += (
                f"  server {weight.bytes >> 20} MiB, {weight.descriptors} descriptors"
                if weight
                else "  server not weighed"
            )
        _tell(line)


def _files(wanted: plan.Plan) -> Iterator[tuple[Path, Callable[[dict[str, Any]], str]]]:
    if wanted.json:
        yield wanted.json, _as_json
    if wanted.plot:
        yield wanted.plot, plotted


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


@contextmanager
def _started(pairs: list[str], options: tuple[str, ...]) -> Iterator[Child]:
    try:
        with Child(pairs, options) as child:
            yield child
    except EOFError as error:
        raise NotReady(str(error)) from None


def _scales(what: str) -> Scales:
    """Make scales that have weighed it once: what was mistyped is told before the rehearsal, not after it."""
    scales = Scales(what)
    try:
        scales.read()
    except (OSError, ValueError) as error:
        message = f"--memory-of {what}: {error}"
        raise NotReady(message) from None
    return scales


def _address(target: str) -> str:
    """Find the first of the target's addresses that takes connections: the customers' ADDRESS:PORT."""
    parts = urlsplit(target)
    try:
        with create_connection((parts.hostname, parts.port or 80), timeout=10) as probe:
            host, port, *_ = probe.getpeername()
    except OSError as error:
        message = f"--target {target}: {error.strerror or error}"
        raise NotReady(message) from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wait_for(address: str) -> None:
    """Ask for /status once, past any proxy: whoever answers can be rehearsed, whatever he says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{address}/status", timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError as error:
        message = f"nobody answers at http://{address}: {getattr(error, 'reason', error)}"
        raise NotReady(message) from None


def _allow_sockets() -> None:
    """Let this process have as many sockets as it may; the server was started with what it is given."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
