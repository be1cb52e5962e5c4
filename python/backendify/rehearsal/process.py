"""Fake registries in a process of their own, so that the service's event loop and memory are its own too.

The child reads one line of JSON, country to behaviour, and writes one, country to base URL. It lives until
its standard input ends: a pipe that the kernel closes however the parent dies.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict
from typing import Final

from backendify.rehearsal.behaviour import Behaviour, Shape
from backendify.rehearsal.companies import isle_of_man
from backendify.rehearsal.registry import Registry

END_S_MAX: Final = 5  # for the child to end by itself


@contextmanager
def started(behaviours: Mapping[str, Behaviour]) -> Iterator[dict[str, str]]:
    """Run one registry a country, all with the register of the Isle of Man; gives their base URLs.

    They listen when this returns, and are gone when it ends. Raises RuntimeError when they do not start.
    """
    # A process group of its own: Ctrl-C in the terminal is the parent's business.
    command = (sys.executable, "-P", "-m", "backendify.rehearsal")
    with subprocess.Popen(  # noqa: S603 (ourselves)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as child:
        assert child.stdin and child.stdout  # noqa: S101, PT018
        try:
            child.stdin.write(
                json.dumps({country: asdict(one) for country, one in behaviours.items()}) + "\n"
            )
            child.stdin.flush()
            line = child.stdout.readline()
            if not line:
                message = "the fake registries did not start"
                raise RuntimeError(message)
            yield json.loads(line)
        finally:
            child.stdin.close()
            try:
                child.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                child.kill()


async def serve() -> None:
    """Be the child."""
    behaviours = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as running:
        urls = {}
        for country, fields in behaviours.items():
            behaviour = Behaviour(**fields | {"shape": Shape(fields["shape"])})
            urls[country] = (await running.enter_async_context(Registry(behaviour, isle_of_man()))).url
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
