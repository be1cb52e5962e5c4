"""`backendify rehearse` from the command line: the score it gives, and what it catches."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backendify.rehearsal.scored import verdict

# One second of few customers, for what needs no load; a busy machine may be late with them.
SHORT = """
seed = 1
[customers]
rate_per_s = 50
duration_s = 1
companies = 50
late_ms = 30_000
[registries.im]
latency = { shape = "fixed", ms = 5 }
"""


async def rehearse(*arguments: str) -> tuple[int, str, str]:
    """Run it: (exit status, standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "backendify", "rehearse", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complained = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, told.decode(), complained.decode()


async def test_a_rehearsal_scores_the_server(tmp_path: Path) -> None:
    score, drawing = tmp_path / "score.json", tmp_path / "score.svg"
    status, told, complained = await rehearse(
        "quick", "--sla", "50", "--json", str(score), "--plot", str(drawing), "--", "--workers", "1"
    )
    assert status == 0, complained
    report = json.loads(score.read_text(encoding="utf-8"))
    requests = report["requests"]
    # Each arrival is drawn: the seed decides how many.
    assert requests["asked"] == 887
    assert requests["right"] <= requests["right_after_retries"] <= requests["asked"]
    assert report["wrong"] == 0
    assert report["valid"]
    assert report["verdict"] == "met"
    assert report["right_percent"] >= 50
    assert report["server_memory_bytes_peak"] > 1 << 20
    assert sum(second["asked"] for second in report["seconds"]) == requests["asked"]
    assert int(report["statuses"]["404"]) > 0
    im, us = report["registries"]["im"], report["registries"]["us"]
    assert im["requests"] >= im["distinct"] > 100
    assert us["away"] > 0
    assert us["outages"][0]["warm"]["asked"] > 0
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]
    assert "right in time" in told
    assert " 1 s " in told
    svg = drawing.read_text(encoding="utf-8")
    assert svg.startswith("<svg ")
    assert svg.count("<polyline") == 3


async def test_a_missed_sla_is_status_1(tmp_path: Path) -> None:
    profile = tmp_path / "failing.toml"
    profile.write_text(SHORT + "error_share = 1\n", encoding="utf-8")
    status, told, complained = await rehearse(str(profile))
    assert status == 1
    assert "SLA missed: 0.0 % right in time, expected 95 %" in complained
    assert "ideal cache    0.0 %" in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("customers = [", "is no TOML"),
        (SHORT + "error_shar = 1", "unknown field `error_shar`"),
        (SHORT + "error_share = 2", "registries.im.error_share: is 2; expected 0 to 1"),
        (SHORT + "weight = 0", "registries.im.weight: is 0; expected 0.000001 to 1000000"),
        (SHORT + "weight = -1", "registries.im.weight: is -1"),
        (SHORT + "weight = inf", "holds a date or no number"),
        (SHORT + "error_share = 0.7\nhang_share = 0.7", "together"),
        (SHORT + "error_share = 0.7\nlies = { no_name = 0.2 }\ncut_share = 0.2", "together"),
        (SHORT + "lies = { no_names = 0.2 }", "unknown field `no_names`"),
        (SHORT + "unavailable = [{ share = 0.1, after_s = 1 }]", "unknown field `after_s`"),
        (SHORT + "outages = [{ begin_s = 0, length_s = 1, servers = 1 }]", "is 1 of 1; expected fewer"),
        (
            SHORT + "outages = [{ begin_s = 0, length_s = 1, announced = true }]",
            'expected how = "unavailable"',
        ),
        (SHORT.replace("fixed", "wild"), "unknown variant `wild`"),
        (SHORT.replace(".im", ".imx"), "registries.imx: expected two small letters"),
        (SHORT.replace("rate_per_s = 50", "rate_per_s = nan"), "no number"),
        (SHORT.replace("seed = 1", "seed = 2026-01-01"), "holds a date"),
        (SHORT.replace("duration_s = 1", ""), "missing field `duration_s`"),
    ],
)
async def test_a_wrong_profile_is_one_line_and_status_2(tmp_path: Path, text: str, complaint: str) -> None:
    profile = tmp_path / "wrong.toml"
    profile.write_text(text, encoding="utf-8")
    status, told, complained = await rehearse(str(profile))
    assert (status, told) == (2, "")
    assert complaint in complained
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-profile",),
        ("quick", "more"),
        ("quick", "--sla", "101"),
        ("quick", "--target", "https://127.0.0.1:1"),
        ("quick", "--target", "http://127.0.0.1:1", "--", "--workers", "2"),
        ("quick", "--no-such-option"),
    ],
)
async def test_wrong_arguments_are_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    status, told, complained = await rehearse(*arguments)
    assert (status, told) == (2, "")
    assert complained.count("\n") == 1


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("way", [(), ("--simulated",)])
async def test_a_score_is_kept_until_there_is_a_new_one(tmp_path: Path, way: tuple[str, ...]) -> None:
    profile, kept, new = tmp_path / "wrong.toml", tmp_path / "kept.json", tmp_path / "new.json"
    profile.write_text(SHORT + "error_share = 2", encoding="utf-8")
    kept.write_text("an earlier score", encoding="utf-8")
    for path in (kept, new):
        status, _, _ = await rehearse(str(profile), *way, "--json", str(path), "--plot", f"{path}.svg")
        assert status == 2
    assert kept.read_text(encoding="utf-8") == "an earlier score"
    assert names_in(tmp_path) == {"wrong.toml", "kept.json"}


async def test_a_score_that_cannot_be_written_is_one_line_at_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "score.json", Path("/proc/score.json")):
        status, told, complained = await rehearse("quick", "--simulated", "--json", str(path))
        assert (status, told) == (1, "")
        assert str(path) in complained
        assert complained.count("\n") == 1


@contextlib.asynccontextmanager
async def saying(reply: bytes, *, last: bytes | None = None) -> AsyncIterator[str]:
    """Run a server that says this to everybody; or once, and then its last word on that connection."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(reply)
                await writer.drain()
                if last is not None:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(last)
                    break
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("head", "body", "field"),
    [
        ("200 OK", '{"id":"1","name":"Another","active":true}', "wrong"),
        ("404 Not Found", "", "wrong"),
        ("503 Service Unavailable", "", "503"),
    ],
)
async def test_a_server_that_does_not_tell_the_truth_is_caught(
    tmp_path: Path, head: str, body: str, field: str
) -> None:
    profile, score = tmp_path / "short.toml", tmp_path / "score.json"
    profile.write_text(SHORT, encoding="utf-8")
    reply = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    async with saying(reply.encode()) as url:
        status, _, complained = await rehearse(
            str(profile), "--target", url, "--sla", "0", "--json", str(score)
        )
    report = json.loads(score.read_text(encoding="utf-8"))
    asked = report["requests"]["asked"]
    assert report["requests"]["right"] == 0
    if field == "wrong":
        assert status == 1
        assert "wrong answers" in complained
        assert report["wrong"] == asked > 0
        assert len(report["wrong_examples"]) == 5
    else:
        assert status == 0  # an SLA of nothing is met by nothing
        assert report["statuses"] == {"503": asked}


async def test_a_reply_that_is_cut_off_is_broken_and_one_that_never_began_is_asked_for_again(
    tmp_path: Path,
) -> None:
    profile, score = tmp_path / "short.toml", tmp_path / "score.json"
    profile.write_text(SHORT.replace("rate_per_s", "retries = 0\nrate_per_s"), encoding="utf-8")
    reports = []
    for last in (b"HTTP/1.1 503 X\r\nContent-Length: 500\r\n\r\nhalf a rep", b""):
        async with saying(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", last=last) as url:
            _, told, _ = await rehearse(
                str(profile), "--target", url, "--sla", "0", "--json", str(score),
            )  # fmt: skip
        reports.append(json.loads(score.read_text(encoding="utf-8")))
        assert f"broken: {reports[-1]['broken']}  asked again: {reports[-1]['asked_again']}" in told
    cut, silent = reports
    asked = cut["requests"]["asked"]
    assert cut["broken"] > 0
    assert cut["asked_again"] == 0
    assert cut["statuses"]["503"] + cut["broken"] == asked
    assert silent["broken"] == 0
    assert silent["asked_again"] > 0
    assert silent["statuses"]["503"] == asked


async def test_what_cannot_be_weighed_is_one_line(tmp_path: Path) -> None:
    profile = tmp_path / "short.toml"
    profile.write_text(SHORT, encoding="utf-8")
    async with saying(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n") as url:
        status, _, complained = await rehearse(
            str(profile), "--target", url, "--memory-of", str(tmp_path / "nothing")
        )
    assert status == 1
    assert complained.count("\n") == 1
    assert "--memory-of" in complained


async def test_how_long_errors_took_is_told_by_outage_and_status(tmp_path: Path) -> None:
    profile, score = tmp_path / "away.toml", tmp_path / "score.json"
    profile.write_text(SHORT + "outages = [{ begin_s = 0, length_s = 600 }]\n", encoding="utf-8")
    async with saying(b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n") as url:
        status, told, _ = await rehearse(str(profile), "--target", url, "--sla", "0", "--json", str(score))
    assert status == 0
    report = json.loads(score.read_text(encoding="utf-8"))
    outage = report["registries"]["im"]["outages"][0]
    failures = outage["failures"]["statuses"]
    assert failures["504"]["count"] == report["statuses"]["504"] > 0
    latency_ms = failures["504"]["latency_ms"]
    assert 0 < latency_ms["p50"] <= latency_ms["p99"] <= latency_ms["max"]
    assert outage["failures_settled"]["statuses"] == {}  # it ended before anybody could know
    assert f"failed tries: 504 {failures['504']['count']} times" in told


async def test_tries_that_are_never_answered_leave_nothing_behind(tmp_path: Path) -> None:
    profile, score = tmp_path / "hanging.toml", tmp_path / "score.json"
    text = SHORT.replace("late_ms", "watch_after_s = 3\nlimit_ms = 500\nlate_ms")
    profile.write_text(text + "hang_share = 1\n", encoding="utf-8")
    times = ("--deadline", "200ms", "--fetch-timeout", "500ms")
    await rehearse(str(profile), "--sla", "0", "--json", str(score), "--", *times)
    report = json.loads(score.read_text(encoding="utf-8"))
    load = report["registries"]["im"]
    assert load["failed"] == load["requests"] > 0
    assert load["sockets_peak"] >= load["at_once_peak"] > 0
    assert (load["sockets"], load["at_once"]) == (0, 0)
    assert report["requests"]["right"] == 0


async def test_a_server_survives_replies_that_are_cut_and_obeys_a_503(tmp_path: Path) -> None:
    profile, score = tmp_path / "noisy.toml", tmp_path / "score.json"
    loads = []
    for noise, status in [
        ("cut_share = 1", "504"),
        ("unavailable = [{ share = 1, retry_after_s = 9 }]", "504"),
        ("lies = { bad_date = 1 }", "502"),
    ]:
        profile.write_text(f"{SHORT}{noise}\n", encoding="utf-8")
        await rehearse(str(profile), "--sla", "0", "--json", str(score), "--", "--tries", "1")
        report = json.loads(score.read_text(encoding="utf-8"))
        assert report["wrong"] == 0
        assert report["statuses"][status] > 0
        loads.append(report["registries"]["im"])
        assert loads[-1]["failed"] == loads[-1]["requests"] > 0
    cut, asked_to_wait, _ = loads
    # It said nine seconds, and all is over after one.
    assert asked_to_wait["requests"] < cut["requests"]


async def test_registries_tell_their_load_by_the_second(tmp_path: Path) -> None:
    score = tmp_path / "score.json"
    await rehearse("quick", "--sla", "0", "--json", str(score))
    report = json.loads(score.read_text(encoding="utf-8"))
    for load in report["registries"].values():
        seconds = load["seconds"]
        assert sum(second["requests"] for second in seconds) == load["requests"] > 0
        assert sum(second["throttled"] for second in seconds) == load["throttled"]
        assert max(second["at_once_peak"] for second in seconds) == load["at_once_peak"] > 0
        warm, cold = load["customers"]["warm"], load["customers"]["cold"]
        assert warm["asked"] > 0
        assert cold["asked"] > 0
    asked = [
        sum(kind["asked"] for kind in load["customers"].values()) for load in report["registries"].values()
    ]
    assert sum(asked) == report["requests"]["asked"]
    assert report["server_descriptors_peak"] > 3
    assert len(report["server_seconds"]) >= 4


async def test_a_target_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    profile = tmp_path / "short.toml"
    profile.write_text(SHORT, encoding="utf-8")
    status, _, complained = await rehearse(str(profile), "--target", "http://127.0.0.1:1")
    assert status == 1
    assert complained.count("\n") == 1
    assert "http://127.0.0.1:1" in complained


async def test_registries_alone_run_until_they_are_told_to_end() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "backendify", "rehearse", "quick", "--registries-only"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    port = int(line.split("im=http://127.0.0.1:")[1].split()[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /companies/nobody HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
    writer.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ""),
        ({"right_percent": 94.9}, "SLA missed"),
        ({"wrong": 1, "right_percent": 99.0}, "wrong answers"),
        ({"valid": False, "late": 9}, "invalid"),
    ],
)
def test_only_a_valid_right_and_good_score_passes(changed: dict[str, Any], told: str) -> None:
    report = {"valid": True, "late": 0, "wrong": 0, "wrong_examples": ["im 1: 404"]}
    report |= {"right_percent": 95.0, "bound_percent": 99.0}
    assert told in verdict(report | changed, 95)
    assert bool(verdict(report | changed, 95)) == bool(told)


async def simulate(profile: Path, *arguments: str) -> dict[str, Any]:
    """Play a profile in virtual time: its score."""
    score = profile.with_suffix(".json")
    status, told, complained = await rehearse(
        str(profile), "--simulated", "--sla", "0", "--json", str(score), *arguments
    )
    assert (status, complained) == (0, "")
    assert "in virtual time" in told
    report: dict[str, Any] = json.loads(score.read_text(encoding="utf-8"))
    return report


async def test_a_simulation_scores_the_rules_and_their_settings(tmp_path: Path) -> None:
    profile = tmp_path / "slow.toml"
    profile.write_text(
        SHORT.replace("ms = 5", "ms = 100").replace("rate_per_s = 50", "rate_per_s = 500"), encoding="utf-8"
    )
    as_it_is, again = await simulate(profile), await simulate(profile)
    assert as_it_is == again
    assert as_it_is["right_percent"] == 100
    assert as_it_is["registries"]["im"]["at_once_peak"] > 10
    assert len(as_it_is["seconds"]) == len(as_it_is["tries_by_second"]) == 1
    # Twenty a second are what two at once bear in a tenth of one, each.
    narrow = await simulate(profile, "--set", "concurrency_max=2", "--set", "queue_wait_ms=10")
    assert narrow["policy"] == {"concurrency_max": 2, "queue_wait_ms": 10}
    assert narrow["registries"]["im"]["at_once_peak"] == 2
    assert narrow["right_percent"] < as_it_is["right_percent"]


async def test_a_registry_that_throttles_is_asked_for_what_it_bears(tmp_path: Path) -> None:
    score = tmp_path / "score.json"
    status, _, _ = await rehearse("throttle", "--simulated", "--sla", "0", "--json", str(score))
    assert status == 0
    registries = json.loads(score.read_text(encoding="utf-8"))["registries"]
    after = registries["ru"]["seconds"][10:60]
    throttled, asked = (sum(second[count] for second in after) for count in ("throttled", "requests"))
    assert 0 < throttled <= asked / 20
    assert asked >= 0.85 * 400 * 50, "the profile's 400 a second"
    assert registries["im"]["of_bound_percent"] >= 99


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--set", "concurrency_max=2"), "expected --simulated"),
        (("--simulated", "--set", "concurrency=2"), "concurrency: no setting of the miss path"),
        (("--simulated", "--set", "tries_max=0"), "tries_max: expected 1 to 3"),
        (("--simulated", "--set", "tries_max=4"), "tries_max: expected 1 to 3"),
        (("--simulated", "--set", "concurrency_max=2.5"), "concurrency_max: 'float' object"),
        (("--simulated", "--set", "concurrency_max=99999999999"), "concurrency_max: out of range"),
        (("--simulated", "--set", "deadline_ms=-1"), "'deadline_ms=-1': is no setting"),
        (("--simulated", "--set", "retry_share=nan"), "expected NAME=NUMBER"),
        (("--simulated", "--target", "http://127.0.0.1:1"), "--target: of a real server"),
        (("--simulated", "--registries-only"), "--registries-only: of a real server"),
        (("--simulated", "--memory-of", "1"), "--memory-of: of a real server"),
        (("--simulated", "--", "--workers", "2"), "none is started"),
    ],
)
async def test_a_simulation_refuses_what_it_has_not(arguments: tuple[str, ...], complaint: str) -> None:
    status, _, complained = await rehearse("quick", *arguments)
    assert status == 2
    assert complaint in complained
    assert complained.count("\n") == 1
