"""Installs what is compared, as far as this machine lets it, and tells loudly what it could not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "bench" / ".tools"
DEBIAN = {"nginx": "nginx", "varnishd": "varnish", "wrk": "wrk"}
"""Packages by their programs."""
OHA = "1.16.0"


def install() -> list[str]:
    """Install: what could not be had, a line each."""
    return [*_from_debian(), *_from_crates()]


def _from_debian() -> list[str]:
    missing = [program for program in DEBIAN if not shutil.which(program)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = [DEBIAN[program] for program in missing]
        # Runlevel 1: they are installed, and not started.
        environment = os.environ | {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        _run("apt-get", "update", environment=environment)
        _run("apt-get", "install", "--yes", "--no-install-recommends", *packages, environment=environment)
    return [
        f"{program} is not here: as root, apt-get install {DEBIAN[program]}"
        for program in missing
        if not shutil.which(program)
    ]


def _from_crates() -> list[str]:
    if not shutil.which("cargo"):
        return ["cargo is not here: no axum + moka, no oha"]
    oha = ["cargo", "install", "oha", "--version", OHA, "--locked", "--quiet", "--root", str(TOOLS)]
    peer = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path"]
    manifest = str(ROOT / "bench" / "peers" / "axum_moka" / "Cargo.toml")
    missing = []
    if not (TOOLS / "bin" / "oha").exists() and not _run(*oha):
        missing.append("oha could not be built: no latency at a rate")
    if not _run(*peer, manifest):
        missing.append("axum + moka could not be built")
    return missing


def _run(*command: str, environment: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode == 0
