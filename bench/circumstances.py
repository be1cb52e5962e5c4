"""What made the numbers."""

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from install import OHA

ROOT = Path(__file__).parent.parent
PACKAGES = ("granian", "uvloop", "fastapi", "uvicorn", "httptools", "httpx", "cachetools")
CRATES = ("axum", "hyper", "moka", "reqwest", "tokio")
PROGRAMS = {
    "nginx": ["nginx", "-v"],
    "varnish": ["varnishd", "-V"],
    "wrk": ["wrk", "-v"],
    "rustc": ["rustc", "-V"],
}


def circumstances() -> dict[str, Any]:
    """Say what made the numbers."""
    git = ["git", "-C", str(ROOT)]
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    changed = subprocess.check_output([*git, "status", "--porcelain", "python", "rust", "bench"], text=True)
    return {
        "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "commit": subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip(),
        "changed_since": bool(changed),
        "command": " ".join(["python", "bench/compare.py", *sys.argv[1:]]),
        "machine": f"{model[0].split(':')[1].strip() if model else 'unknown'}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "load_average_before": os.getloadavg(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Tell the version of everything that takes part."""
    lock = (ROOT / "bench" / "peers" / "axum_moka" / "Cargo.lock").read_text()
    crates = dict(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', lock))
    return (
        {"python": platform.python_version(), "oha": OHA}
        | {name: importlib.metadata.version(name) for name in PACKAGES}
        | {name: crates[name] for name in CRATES}
        | {name: _first_version(command) for name, command in PROGRAMS.items()}
    )


def _first_version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "none"
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found[0] if found else "unknown"
