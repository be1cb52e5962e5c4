"""How many instructions one hit takes, part by part: the running service under callgrind.

    make build && bench/.venv/bin/python bench/hit_counts.py     # needs valgrind and binutils; two minutes

The service is built with debug information and otherwise as for a release, knows 100,000 companies, and is asked for
2,000 of them twice over one connection; the second time counts. Each instruction of our module is laid to the
innermost function of ours that it was inlined from (`addr2line -i`), with all that it calls: a part's count has in
it what it has Python and Granian do. The kernel's instructions are not counted. What each instruction costs is
another matter: a look-up that waits for memory counts as little as one that does not.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from companies import COUNTRY
from customers import HEAD
from lists import Lists
from process import free_port
from servers import ORIGIN_BYTES, Stage, fill_origin

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
ASKED = 2_000
START_S_MAX = 120.0
LANE = "lane::Lane::__pymethod___call__"
# What a function's name has in it; the innermost that stands in the chain of a place decides.
PARTS = {
    "Scope::of_rsgi": "scope reading",
    "request::route": "route and query",
    "Places::of": "key hashing",
    "region::Region::find": "look-up",
    "Answer::found": "body and fields",
    "reply::respond": "header list and call",
}
REST = "the rest of the lane"

Place = tuple[str, int]
"""A module's file and an address in it."""


@dataclass(slots=True)
class Function:
    """What callgrind saw of one."""

    own: Counter[int] = field(default_factory=Counter)
    """Instructions by address."""
    calls: list[tuple[int, str, int, int]] = field(default_factory=list)
    """From which address, whom, how often, and the instructions of it all."""

    def inclusive(self) -> int:
        """Sum up, with all that it called."""
        return self.own.total() + sum(call[3] for call in self.calls)


class Profile:
    """A dump of callgrind (its manual, "Callgrind Format Specification"), written uncompressed, by instruction."""

    def __init__(self, path: Path, module: str) -> None:
        self.total = 0
        """Instructions of the whole process."""
        self.functions: defaultdict[str, Function] = defaultdict(Function)
        """Those of the module."""
        self.called: Counter[str] = Counter()
        """How often each of them was."""
        self._module = module
        with path.open(encoding="utf-8", errors="replace") as lines:
            self._read(line.rstrip("\n") for line in lines)

    def _read(self, lines: Iterator[str]) -> None:
        where, name, callee_where, callee = "", "", "", ""
        for line in lines:
            key, _, value = line.partition("=")
            if key == "ob":
                where = value
            elif key == "fn":
                name, callee_where = value, where
            elif key == "cob":
                callee_where = value
            elif key == "cfn":
                callee = value
            elif key == "calls":
                times = int(value.split()[0])
                address, _, count = next(lines).split()
                is_ours = callee_where.endswith(self._module)
                self.called[callee] += times if is_ours else 0
                if where.endswith(self._module):
                    call = (int(address, 16), callee if is_ours else "", times, int(count))
                    self.functions[name].calls.append(call)
                callee_where = where
            elif line.startswith("0x"):
                address, _, count = line.split()
                self.total += int(count)
                if where.endswith(self._module):
                    self.functions[name].own[int(address, 16)] += int(count)


def attributed(profile: Profile, module: Path, root: str) -> Counter[str]:
    """Lay the instructions below `root` to the parts."""
    parts: Counter[str] = Counter()
    chains = _chains(module, {place for one in profile.functions.values() for place in _places(one)})

    def walk(name: str, inherited: str, above: frozenset[str]) -> None:
        function = profile.functions[name]
        for address, count in function.own.items():
            parts[chains.get(address) or inherited] += count
        for address, callee, times, count in function.calls:
            part = chains.get(address) or inherited
            # One that is called from here only is ours to look into; a helper of many belongs to who calls it.
            if callee and callee not in above and profile.called[callee] == times:
                walk(callee, _part(callee) or part, above | {callee})
            else:
                parts[part] += count

    walk(root, REST, frozenset({root}))
    return parts


def _places(function: Function) -> Iterator[int]:
    yield from function.own
    yield from (call[0] for call in function.calls)


def _chains(module: Path, addresses: set[int]) -> dict[int, str]:
    """Find the part of each address: that of the innermost function, inlined or not, that is one."""
    asked = "".join(f"{address:#x}\n" for address in sorted(addresses))
    command = ["addr2line", "--addresses", "--functions", "--inlines", "--demangle", "--exe", str(module)]
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    chains: dict[int, str] = {}
    address = 0
    for line in told.splitlines():
        if line.startswith("0x"):
            address = int(line, 16)
        elif part := _part(line):
            chains.setdefault(address, part)
    return chains


def _part(name: str) -> str:
    """Give the part that a function is, or an empty string."""
    return next((part for within, part in PARTS.items() if within in name), "")


def build(folder: Path) -> Path:
    """Build the module for callgrind, in a package of its own; give the module."""
    # Callgrind hides the kernel's vDSO, which rustix finds nevertheless unless the C library is asked.
    command = ["cargo", "build", "--locked", "--profile", "profiling", "--package", "backendify-binding"]
    built = os.environ | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": str(PYTHON)}
    subprocess.run([*command, "--features", "rustix/use-libc-auxv"], cwd=ROOT, env=built, check=True)
    package = folder / "backendify"
    shutil.copytree(ROOT / "python" / "backendify", package, ignore=shutil.ignore_patterns("*.so"))
    return Path(shutil.copy(ROOT / "target" / "profiling" / "lib_core.so", package / "_core.so"))


def run(folder: Path) -> Path:
    """Serve under callgrind, ask, and give the dump."""
    lists = Lists(folder)
    stage = Stage(folder, Path(os.devnull), free_port(), free_port(), "64M")
    fill_origin(stage, lists.companies())
    port, out = free_port(), folder / "counts"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-instr=yes"]
    command += ["--compress-strings=no", "--compress-pos=no", str(PYTHON), "-m", "backendify"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--admin", "off"]
    command += ["--cache-path", str(folder / "origin.cache"), "--cache-size", str(ORIGIN_BYTES)]
    command += [f"{COUNTRY}=http://127.0.0.1:{stage.registry_port}"]
    log = folder / "log"
    with log.open("wb") as told:
        service = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(folder)}, stderr=told)
    try:
        with _connected(service, port, log) as connection:
            # Twice the same: the first touch of a bucket sums it up, which no later one does.
            _ask(connection, lists.known[:ASKED])
            _control("--zero", service)
            _ask(connection, lists.known[:ASKED])
            _control("--dump", service)
    finally:
        service.terminate()
        service.wait()
    return out.with_name(f"{out.name}.1")


def _connected(service: subprocess.Popen[bytes], port: int, log: Path) -> socket.socket:
    until_s = time.monotonic() + START_S_MAX
    while service.poll() is None and time.monotonic() < until_s:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port))
        time.sleep(0.1)
    service.kill()
    raise RuntimeError(f"the service did not start: {log.read_text()}")


def _control(order: str, service: subprocess.Popen[bytes]) -> None:
    subprocess.run(["callgrind_control", order, str(service.pid)], stdout=subprocess.DEVNULL, check=True)


def _ask(connection: socket.socket, targets: list[str]) -> None:
    with connection.makefile("rb") as answers:
        for target in targets:
            connection.sendall(HEAD.format(target).encode())
            assert b" 200 " in answers.readline()
            length = 0
            while (line := answers.readline().lower()) != b"\r\n":
                length = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else length
            answers.read(length)


def main() -> None:
    """Count, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        module = build(folder)
        profile = Profile(run(folder), module.name)
        root = next((function for function in profile.functions if LANE in function), None)
        if root is None:
            sys.exit(f"bench: no function of the module is named {LANE}")
        parts = attributed(profile, module, root)
    hits, below = profile.called[root], profile.functions[root].inclusive()
    print(f"| part | instructions a hit |\n|---|---:|\n| the whole process | {profile.total / ASKED:,.0f} |")
    print(f"| the lane, {hits} calls | {below / hits:,.0f} |")
    for part in (*PARTS.values(), REST):
        print(f"| {part} | {parts[part] / hits:,.0f} |")


if __name__ == "__main__":
    main()
