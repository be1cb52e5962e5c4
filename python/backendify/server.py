"""Serves the app with Granian, embedded in this process; signals, lame duck and drain are ours.

One worker needs no supervisor: the embedded server takes 35 MB where supervisor and worker take 57 MB.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from backendify import _core
from backendify.address import Address
from backendify.admin import Admin
from backendify.app import Service, open_region, plan_memory
from backendify.cache_file import cache_file
from backendify.lane import LaneClosed, SpawnTarget, open_lane
from backendify.memory import NotEnoughMemory, Plan
from backendify.rsgi import over_rsgi
from backendify.settings import Settings
from backendify.supervisor import Supervisor

LOGGER = logging.getLogger(__name__)
# Target (8 KiB) and fields (16 KiB) with room for line ends; over it hyper answers 431 by itself.
HEAD_BYTES_MAX = 28 * 1024
# Balancers keep idle connections for about 60 s; the one who closes first must not be the server.
IDLE_MS = 75_000
# What is in flight is answered or given up within this many seconds after the drain; engines kill at 10.
CLOSE_S = 1.0


class CannotListenError(Exception):
    """An address that was asked for cannot be had."""

    def __init__(self, address: Address, error: OSError) -> None:
        # A resolver's errors have numbers of their own.
        is_named = isinstance(error, socket.gaierror) or not error.errno
        reason = error.strerror or error if is_named else os.strerror(error.errno or 0)
        super().__init__(f"cannot listen on {address}: {reason}")


def run(settings: Settings, *, port: int = 0) -> int:
    """Serve until SIGTERM or SIGINT: the process's exit status. `port` is the one that was chosen already, if any."""
    with contextlib.ExitStack() as at_end:
        return _run(settings, port or settings.port, at_end)


def _run(settings: Settings, port: int, at_end: contextlib.ExitStack) -> int:
    logging.basicConfig(level=logging.WARNING, format="backendify: %(message)s", stream=sys.stderr)
    try:
        address = _free_address(settings.host, port)
        cache = at_end.enter_context(cache_file(settings, address.port))
        plan = plan_memory(settings, cache)
        # Before the fork, so that a refusal is told once and not by each worker; and closed: a fork shares its locks.
        found = open_region(settings, plan, cache)[1] if settings.workers > 1 else None
    except CannotListenError as error:
        return _refuse(str(error), 1)
    except (NotEnoughMemory, _core.RegionError) as error:
        return _refuse(str(error), 2)
    except OSError as error:
        wanted = "expected a file in a directory that is there and can be written"
        return _refuse(f"--cache-path: {error.strerror}: {error.filename}; {wanted}", 2)

    # Before the workers are forked: they inherit it.
    ledger = _core.Ledger(len(settings.registries)) if settings.workers > 1 else None

    def work(index: int, life: int) -> int:
        own = ledger.of_worker(index) if ledger else None
        found_before = found if life == 1 else None
        _run_as_batch()
        try:
            asyncio.run(_serve(settings, plan, cache, address, index=index, ledger=own, found=found_before))
        except CannotListenError as error:
            return _refuse(str(error), 1)
        except _core.RegionError as error:
            return _refuse(str(error), 2)
        return 0

    return work(0, 1) if settings.workers == 1 else Supervisor(settings.workers, work).run()


def _run_as_batch() -> None:
    """Have a thread that wakes wait for the one that runs (SCHED_BATCH, sched(7)): 8 % more hits on one core.

    A request crosses two threads; each wake-up would take the core from the one that gave the work.
    """
    with contextlib.suppress(AttributeError, OSError):  # not on Linux, or forbidden
        if os.sched_getscheduler(0) == os.SCHED_OTHER:  # else an operator has chosen
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _refuse(message: str, status: int) -> int:
    """Say in one line why there is no service."""
    LOGGER.error("%s", message)
    return status


async def _serve(  # noqa: PLR0913 - all that a worker is made of
    settings: Settings,
    plan: Plan,
    cache: Path,
    address: Address,
    *,
    index: int,
    ledger: _core.Ledger | None,
    found: str | None,
) -> None:
    """Be one worker, the one with this index, from 0; `found` is what the supervisor found of the cache."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _ask_to_stop, stop, number)
    service = Service(settings, plan, cache, ledger=ledger, found=found)
    try:
        await _serve_until(stop, settings, service, address, index)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.aclose(), CLOSE_S)


async def _serve_until(
    stop: asyncio.Future[signal.Signals], settings: Settings, service: Service, address: Address, index: int
) -> None:
    """Listen, serve, and drain once `stop` has a signal."""
    plan = service.plan
    lane = _open_lane(settings, service)
    if lane:
        service.start()  # otherwise ASGI's lifespan does
    server = Server(
        over_rsgi(service.app) if lane else service.app,
        address=address.host,
        port=address.port,
        interface=Interfaces.RSGI if lane else Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=max(1, plan.connections_max // settings.workers),
        http1_settings=HTTP1Settings(
            header_read_timeout=IDLE_MS, max_buffer_size=HEAD_BYTES_MAX, pipeline_flush=True
        ),
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve(lane))
    try:
        await _until_listening(address, serving)
    except RuntimeError as error:  # Granian's, when another took the port since it was found free
        raise CannotListenError(address, OSError(errno.EADDRINUSE, "")) from error
    # A successor of the first worker listens again: the address is free once its predecessor is gone.
    admin = await _start_admin(settings, service) if index == 0 else None
    if index == 0:
        LOGGER.warning("%s", plan.line())
        LOGGER.warning("%s", service.cache_line)
        LOGGER.warning(
            "%s listens on http://%s, %d registries", _core.VERSION, address, len(settings.registries)
        )
    await asyncio.wait((stop, serving), return_when=asyncio.FIRST_COMPLETED)
    if stop.done() and stop.result() is signal.SIGTERM:
        service.app.start_lame_duck()
        await asyncio.sleep(settings.lame_duck_ms / 1000)
    service.app.refuse_misses()
    server.stop()  # type: ignore[no-untyped-call]  # granian's own lack of types
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, settings.drain_ms / 1000)
    if admin:
        await admin.aclose()


def _open_lane(settings: Settings, service: Service) -> SpawnTarget | None:
    """Open the lane, unless it is not wanted or this Granian has none: then every request takes the event loop."""
    if not settings.lane:
        return None
    try:
        return open_lane(service.app)
    except LaneClosed as error:
        LOGGER.warning("hits take the event loop, at some 60%% of the speed: %s", error)
        return None


async def _start_admin(settings: Settings, service: Service) -> Admin | None:
    """Listen for operators. A taken address is an error only when it was asked for by name."""
    if settings.admin is None:
        return None
    admin = Admin(settings.admin.host, settings.admin.port, read=service.stats)
    try:
        await admin.start()
    except OSError as error:
        if settings.admin_by_name:
            raise CannotListenError(settings.admin, error) from error
        LOGGER.warning("no listener for operators: %s", CannotListenError(settings.admin, error))
        return None
    return admin


def _ask_to_stop(stop: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not stop.done():
        stop.set_result(number)


def _free_address(host: str, port: int) -> Address:
    """Resolve the address, and refuse a taken one: Granian's own sockets set SO_REUSEPORT and would share it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return Address(*probe.getsockname()[:2])
    except OSError as error:
        raise CannotListenError(Address(host, port), error) from error


async def _until_listening(address: Address, serving: asyncio.Task[None]) -> None:
    """Granian does not tell when it accepts: wait until a connection succeeds, or until serving has failed."""
    while not serving.done():
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            writer.close()
            return
        await asyncio.sleep(0.005)
    serving.result()
