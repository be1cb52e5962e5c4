"""Requests served before the event loop: the only file that knows Granian's inside.

Granian puts each request before the event loop by calling its scheduler's `_schedule_fn` on a thread of its own.
`_core.Lane` in that place answers what needs no waiting right there (docs/decisions/0003-lane.md). Nothing of Granian
is patched: `Server.serve` takes the coroutine that makes a worker as a parameter, and ours is Granian's own with one
global replaced.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

import granian
from granian import _futures
from granian._granian import CallbackScheduler
from granian.server import embed

from backendify import _core

_NEW_SCHEDULER: Final = "_new_cbscheduler"

SpawnTarget = Callable[..., None]
"""What `Server.serve` takes; its annotation hides that a coroutine comes back."""
Fault = Callable[[str], bool]


class LaneClosed(Exception):  # noqa: N818 - it reads as what it is: `raise LaneClosed`
    """Why requests have to take the ordinary way, in one sentence."""


def open_lane(app: _core.App, *, fault: Fault | None = None) -> SpawnTarget:
    """Give the `spawn_target` with which an embedded Granian that speaks RSGI serves requests for `app` on the lane.

    `fault` is for tests, see :class:`_core.Lane`. Raises :class:`LaneClosed` when this Granian has another shape than
    the one that this was written for (2.8).
    """
    try:
        spawn = embed.Server._spawn_rsgi_worker.__wrapped__  # noqa: SLF001
        for owner, name in (
            (_futures._CBSchedulerAIO, "_schedule_fn"),  # noqa: SLF001
            (_futures._CBSchedulerAIO, "_ctx"),  # noqa: SLF001
            (_futures, "_cbsched_aioschedule"),
        ):
            getattr(owner, name)
    except AttributeError as error:
        raise LaneClosed(f"Granian {granian.__version__} has another shape: {error}") from error
    if not isinstance(spawn, FunctionType) or _NEW_SCHEDULER not in spawn.__code__.co_names:
        raise LaneClosed(f"Granian {granian.__version__} makes its scheduler in another way")

    def new_scheduler(loop: Any, callback: Any, *, impl_asyncio: bool = False) -> Any:  # noqa: ANN401, ARG001
        return _LaneScheduler(loop, callback, None, None, None, app=app, fault=fault)

    namespace = {**spawn.__globals__, _NEW_SCHEDULER: new_scheduler}
    on_lane = FunctionType(spawn.__code__, namespace, spawn.__name__, spawn.__defaults__, spawn.__closure__)
    target: SpawnTarget = embed.AsyncWorker.wrap_target(on_lane)  # type: ignore[no-untyped-call]
    return target


class _LaneScheduler(CallbackScheduler):
    """Granian's scheduler for asyncio, with the lane before its function, which stays the other way."""

    def __new__(cls, *args: Any, app: _core.App, fault: Fault | None) -> Any:  # noqa: ANN401, ARG004
        return super().__new__(cls, *args)

    def __init__(self, loop: Any, callback: Any, *_: Any, app: _core.App, fault: Fault | None) -> None:  # noqa: ANN401
        super().__init__()
        schedule = _futures._cbsched_aioschedule(loop, self._ctx, callback)  # type: ignore[no-untyped-call]  # noqa: SLF001
        self._schedule_fn = _core.Lane(app, schedule, fault=fault)
