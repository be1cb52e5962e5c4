"""The image, built from this tree and run for real with 128 MB and one CPU."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import isle_of_man
from backendify.rehearsal.registry import Registry
from service import free_port

pytestmark = pytest.mark.image

BASE = "debian:trixie-slim"
TAG = "backendify:under-test"
ROOT = Path(__file__).parents[2]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("NOT TESTED: the image, because there is no Docker engine here")
    if subprocess.run(["docker", "image", "inspect", BASE], capture_output=True, check=False).returncode:
        pytest.skip(f"NOT TESTED: the image, because its base {BASE} is not here")
    docker("build", "--tag", TAG, str(ROOT))
    yield TAG
    docker("image", "rm", "--force", TAG)


def test_what_is_in_it(image: str) -> None:
    config = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert config["User"] == "10001:10001"
    assert list(config["ExposedPorts"]) == ["9000/tcp"]
    names = {setting.partition("=")[0] for setting in config["Env"]}
    assert names == {"PATH", "PYTHONUNBUFFERED"}, "nothing of the build's environment is inherited"
    found = docker(
        "run", "--rm", "--entrypoint", "sh", image, "-c",
        "for tool in gcc cc cargo rustc maturin pip make; do command -v $tool; done; ls /usr/local/share; id -u",
    )  # fmt: skip
    assert found.splitlines()[-1] == "10001"
    assert not [line for line in found.splitlines() if "/bin/" in line or line.endswith(".pem")], found
    assert docker("run", "--rm", image, "--version").startswith("backendify ")


async def test_it_serves_within_its_limits(image: str) -> None:
    companies = isle_of_man()
    numbers = list(companies)[::40]
    port = free_port()
    async with Registry(Behaviour(latency_median_ms=20), companies) as registry:
        container = docker(
            "run", "--detach", "--network", "host", "--memory", "128m", "--memory-swap", "128m", "--cpus", "1",
            image, f"im={registry.url}", "--host", "127.0.0.1", "--port", str(port), "--lame-duck", "0s",
        )  # fmt: skip
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                await _until_ready(client)
                gate = asyncio.Semaphore(32)

                async def ask(number: str) -> int:
                    async with gate:
                        answer = await client.get("/company", params={"id": number, "country_iso": "im"})
                        assert answer.json()["name"] == companies[number].name
                        return answer.status_code

                for _ in range(2):
                    assert set(await asyncio.gather(*map(ask, numbers))) == {200}
            assert registry.counts.requests == len(numbers)
            docker("kill", "--signal", "TERM", container)
            assert docker("wait", container) == "0", docker("logs", container)
            state = json.loads(docker("inspect", container))[0]["State"]
            assert not state["OOMKilled"]
        finally:
            docker("rm", "--force", container)


async def test_containers_over_one_volume_share_it_or_are_refused(image: str) -> None:
    companies = isle_of_man()
    number = next(iter(companies))
    volume = docker("volume", "create")
    containers = []
    try:
        async with Registry(Behaviour(), companies) as registry:
            place = ["--network", "host", "--memory", "128m", "--volume", f"{volume}:/tmp"]
            told = ["--host", "127.0.0.1", "--admin", "off", "--cache-size", "8M", "--lame-duck", "0s"]
            told += ["--cache-path", "/tmp/shared.cache"]  # noqa: S108 - the volume
            for found in ("fwd", "hit"):
                port = free_port()
                options = [*told, "--port", str(port), f"im={registry.url}"]
                containers.append(docker("run", "--detach", *place, image, *options))
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                    await _until_ready(client)
                    answer = await client.get("/company", params={"id": number, "country_iso": "im"})
                    assert answer.json()["name"] == companies[number].name
                    assert found in answer.headers["cache-status"]
            assert registry.counts.requests == 1, "what one container keeps the other tells"
            options = [*told, "--port", str(free_port()), f"gg={registry.url}"]
            command = ["docker", "run", "--rm", *place, image, *options]
            refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: ASYNC221
            assert refused.returncode == 2
            assert "in use by a service with another configuration" in refused.stderr
    finally:
        if containers:
            docker("rm", "--force", *containers)
        docker("volume", "rm", "--force", volume)


async def _until_ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/status")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail("the container never became ready")
