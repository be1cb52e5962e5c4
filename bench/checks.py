"""Whether a server tells the truth: nobody's speed counts before that."""

import json

from customers import answers
from lists import Lists
from process import Process
from servers import Knows, Server

SAMPLE = 500


class UntrueError(Exception):
    """A server's answer is not the right one."""


def check(server: Server, process: Process, lists: Lists) -> int:
    """Ask for a sample, and give how many answers were right: all. Raises :class:`UntrueError`."""
    if server.knows is Knows.NOTHING:
        return 0
    sample = lists.sample(SAMPLE)
    targets = list(sample)
    for target, (status, body) in zip(targets, answers(process.port, targets), strict=True):
        if status != 200 or json.loads(body) != sample[target]:
            text = body.decode(errors="replace")
            raise UntrueError(f"{server.name}: {target}: {status} {text}; expected {sample[target]}")
    return len(targets)
