"""Names to addresses, on threads that nobody waits for at the end.

The loop's executor would not do: a resolver that hangs holds its few threads for all names, and `asyncio.run` joins
them, for longer than a container engine waits before it kills.
"""

import asyncio
import contextlib
import socket
import threading
from typing import Any, Final, TypeAlias

LIFE_S: Final = 10.0  # an answer is used for so long: names of services in clusters move

Addresses: TypeAlias = list[tuple[Any, ...]]


async def look_up(host: str, port: int, *, kind: socket.SocketKind) -> Addresses:
    """Ask the resolver once: what `getaddrinfo` says. Raises OSError, or UnicodeError for what is no name."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Addresses | OSError | UnicodeError] = loop.create_future()

    def settle(found: Addresses | OSError | UnicodeError) -> None:
        if not answer.done():
            answer.set_result(found)

    def ask() -> None:
        found: Addresses | OSError | UnicodeError
        try:
            found = socket.getaddrinfo(host, port, type=kind)
        except (OSError, UnicodeError) as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    found = await answer
    if isinstance(found, Exception):
        raise found
    return found


class Resolver:
    """Addresses for TCP, remembered for `LIFE_S`; a name is looked up once at a time, however many ask."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[float, asyncio.Task[Addresses]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Find the IP addresses of a host, in the resolver's order. Raises what :func:`look_up` does."""
        loop = asyncio.get_running_loop()
        asked_at_s, task = self._found.get((host, port), (0.0, None))
        is_stale = task is not None and task.done() and loop.time() - asked_at_s > LIFE_S
        if task is None or is_stale or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(look_up(host, port, kind=socket.SOCK_STREAM))
            self._found[host, port] = (loop.time(), task)
        # Shielded: who gives up waiting does not end the look-up that others wait for.
        return [address[0] for *_, address in await asyncio.shield(task)]

    def close(self) -> None:
        """Forget everything; look-ups under way end by themselves."""
        for _, task in self._found.values():
            task.cancel()
        self._found.clear()
