"""What `backendify top` makes of two readings, and of what is none."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from backendify.address import Address
from backendify.admin import CacheStats, RegistryStats, Stats
from backendify.settings import BadSettings
from backendify.top import wanted
from backendify.top.page import fitted, lines
from backendify.top.reading import NotStats, to_stats

RU = RegistryStats(
    country="ru", asked=6_000, answered=5_990, failed=5, running=16, limit=21, queued=2, patience_s=0.45
)
US = RegistryStats(
    country="us",
    asked=4_000,
    answered=3_000,
    failed=997,
    running=0,
    limit=1,
    breaker_open=True,
    throttled=40,
    patience_s=1.26,
    paused_for_s=125,
)
STATS = Stats(
    version="1.2.3",
    uptime_s=93_784.5,
    draining=False,
    workers=1,
    hits=90_000,
    misses=10_000,
    collapsed=303,
    stored=9_004,
    answers={200: 98_000, 504: 300},
    cache=CacheStats(
        bytes=31_457_280, capacity_bytes=41_943_040, records=777_006, evictions=7, expired=8, oversize=9
    ),
    fetches_running=20,
    fetches_max=1_024,
    customers_waiting=12,
    registries=(RU, US),
    rss_bytes=58_720_256,
    memory_limit_bytes=134_217_728,
)
LATER = replace(
    STATS,
    uptime_s=STATS.uptime_s + 2,
    hits=STATS.hits + 1_800,
    misses=STATS.misses + 200,
    answers={200: 99_999, 429: 2, 504: 301},
    registries=(replace(RU, asked=6_015), replace(US, asked=4_300, failed=1_002, throttled=43)),
)


def told(now: Stats, before: Stats | None = None) -> list[str]:
    return lines(now, before, address="127.0.0.1:9090", clock="2026-11-26 12:00:00Z")


def line(label: str, now: Stats, before: Stats | None = None) -> str:
    """The line that begins so, without its label."""
    (found,) = (text for text in told(now, before) if text.startswith(label))
    return found.removeprefix(label).strip()


def test_two_looks_as_a_page() -> None:
    assert told(LATER, STATS) == [
        "backendify 1.2.3 at 127.0.0.1:9090, 2026-11-26 12:00:00Z",
        "",
        "state      serving, up 1 d 2 h, 1 worker",
        "requests   1,000/s   hits 90.0 %",
        "answers    200: 1,000/s   429: 1.0/s   504: 0.5/s",
        "waiting    12 customers",
        "asking     16 of 1,024 tries run   20 fetches under way",
        "memory     56.0 MiB of 128.0 MiB (43.8 %)",
        "cache      30.0 MiB of 40.0 MiB (75.0 %)   777,006 answers",
        "",
        "iso  breaker  run/limit  queued  tries/s  429/s  fails/s  patience  pause",
        "ru   closed       16/21       2      7.5    0.0      0.0    450 ms      -",
        "us   OPEN           0/1       0      150    1.5      2.5     1.3 s  2 min",
    ]


def test_the_first_look_has_no_rates() -> None:
    page = told(STATS)
    assert page[3] == "requests   -   hits 90.0 % since the cache was made"
    assert page[4] == "answers    200: 98,000   504: 300 since the start"
    assert page[-1].split()[4:8] == ["-", "-", "-", "1.3"]


def test_of_several_workers_what_one_counts_is_marked() -> None:
    page = told(replace(LATER, workers=3), replace(STATS, workers=3))
    assert page[2] == "state      serving, up 1 d 2 h, 3 workers"
    assert page[-1] == "* of the first worker alone"
    assert [text.split()[0] for text in page[3:9]] == [
        "requests",
        "answers*",
        "waiting",
        "asking",
        "memory*",
        "cache",
    ]
    assert page[5].endswith("customers*")
    assert page[6] == "asking     16 of 1,024 tries run   20 fetches under way*"
    assert page[10].split() == [
        *("iso", "breaker", "run/limit", "queued*", "tries/s*", "429/s*", "fails/s*", "patience*", "pause")
    ]
    assert max(map(len, page)) <= 80


@pytest.mark.parametrize(
    ("now", "label", "expected"),
    [
        (replace(STATS, draining=True), "state", "draining, up 1 d 2 h, 1 worker"),
        (replace(STATS, uptime_s=59.9), "state", "serving, up 59 s, 1 worker"),
        (replace(STATS, uptime_s=3_599.9), "state", "serving, up 59 min 59 s, 1 worker"),
        (replace(STATS, uptime_s=3_600), "state", "serving, up 1 h 0 min, 1 worker"),
        (replace(STATS, hits=0, misses=0), "requests", "-   hits -"),
        (replace(STATS, answers={}), "answers", "none yet"),
        (replace(STATS, memory_limit_bytes=None), "memory", "56.0 MiB, no limit"),
        (replace(STATS, rss_bytes=20 << 30), "memory", "20.0 GiB of 128.0 MiB (16000.0 %)"),
        (replace(STATS, cache=replace(STATS.cache, bytes=2_048)), "cache", "2.0 KiB of 40.0 MiB (0.0 %)"),
    ],
)
def test_a_line(now: Stats, label: str, expected: str) -> None:
    assert line(label, now).startswith(expected)


@pytest.mark.parametrize(
    ("now", "label", "expected"),
    [
        # Nobody asked: the ratio is the whole life's.
        (
            replace(STATS, uptime_s=STATS.uptime_s + 1),
            "requests",
            "0.0/s   hits 90.0 % since the cache was made",
        ),
        (replace(LATER, hits=STATS.hits), "requests", "100/s   hits 0.0 %"),
        # Whatever began anew, rates over it would be wrong.
        (replace(LATER, uptime_s=1), "requests", "-   hits 90.0 % since the cache was made"),
        (replace(LATER, uptime_s=STATS.uptime_s), "requests", "-   hits"),
        (replace(LATER, hits=10), "requests", "-   hits"),
        (replace(LATER, answers={200: 1}), "answers", "200: 1 since the start"),
        (
            replace(LATER, registries=(replace(RU, country="im"),)),
            "im",
            "closed       16/21       2        -",
        ),
        (replace(LATER, registries=(replace(RU, asked=1),)), "ru", "closed       16/21       2      0.0"),
    ],
)
def test_a_line_of_two_looks(now: Stats, label: str, expected: str) -> None:
    assert line(label, now, STATS).startswith(expected)


def test_many_statuses_take_several_lines() -> None:
    page = told(replace(STATS, answers=dict.fromkeys((200, 400, 404, 429, 502, 503), 7)))
    assert page[4:6] == [
        "answers    200: 7   400: 7   404: 7   429: 7",
        "           502: 7   503: 7 since the start",
    ]


def test_a_small_screen_says_what_it_has_no_room_for() -> None:
    page = told(LATER, STATS)
    assert fitted(page, columns=9, rows=4) == ["backendif", "", "state    ", "... 10 mo"]
    assert fitted(page, columns=80, rows=len(page)) == page


def as_told() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(STATS.to_json())
    return told


def test_a_reading_is_read_as_it_was_written() -> None:
    assert to_stats(STATS.to_json().encode()) == STATS
    unlimited = replace(STATS, memory_limit_bytes=None)
    assert to_stats(unlimited.to_json().encode()) == unlimited
    assert to_stats(json.dumps(as_told() | {"later": [1, None]}).encode()) == STATS


def test_what_could_control_a_terminal_is_not_shown() -> None:
    hostile = replace(
        STATS,
        version="1\x1b[2J\r\n\x9b",
        registries=(replace(RU, country="\x1b]0;x\x07r\u202eü日" + "y" * 500),),
    )
    page = "\n".join(told(to_stats(hostile.to_json().encode())))
    assert page.replace("\n", "").isprintable()
    assert page.isascii()
    assert "?]0;x?r??" in page
    assert "y" * 33 not in page


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"hits": None}, "hits is no count"),
        ({"hits": -1}, "hits is no count"),
        ({"hits": True}, "hits is no count"),
        ({"hits": 1.5}, "hits is no count"),
        ({"hits": "1"}, "hits is no count"),
        ({"hits": 1 << 64}, "hits is no count"),
        ({"uptime_s": float("nan")}, "not JSON"),
        ({"uptime_s": float("-inf")}, "not JSON"),
        ({"uptime_s": -0.5}, "uptime_s is no number"),
        ({"uptime_s": 10**400}, "uptime_s is no number"),
        ({"draining": 0}, "draining is no true or false"),
        ({"version": 1}, "version is no text"),
        ({"cache": []}, "cache is no object"),
        ({"cache": asdict(STATS.cache) | {"bytes": None}}, "cache.bytes is no count"),
        ({"answers": {"20\x1b": 1}}, "a name in answers is no status"),
        ({"answers": {"٢٠٠": 1}}, "a name in answers is no status"),
        ({"answers": {"200": "x"}}, "answers.200 is no count"),
        ({"registries": {}}, "registries is no list of at most 255"),
        ({"registries": [asdict(RU)] * 256}, "registries is no list of at most 255"),
        ({"registries": [asdict(RU), 1]}, "registries is no object"),
        ({"registries": [asdict(RU) | {"patience_s": {}}]}, "registries.patience_s is no number"),
        ({"memory_limit_bytes": "x"}, "memory_limit_bytes is no count"),
    ],
)
def test_a_reading_that_is_none_says_where(changed: dict[str, object], expected: str) -> None:
    with pytest.raises(NotStats) as caught:
        to_stats(json.dumps(as_told() | changed).encode())
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"uptime_s":' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[]", "the whole is no object"),
        (b"{}", "cache is no object"),
    ],
)
def test_a_body_that_is_no_reading_is_told(body: bytes, expected: str) -> None:
    with pytest.raises(NotStats) as caught:
        to_stats(body)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("arguments", "environment", "address"),
    [
        ([], {}, ("127.0.0.1", 9090)),
        ([], {"BACKENDIFY_ADMIN": "[::1]:7"}, ("::1", 7)),
        (["--admin", "a.example:8"], {"BACKENDIFY_ADMIN": "off", "BACKENDIFY_PORT": "x"}, ("a.example", 8)),
        (["--admin", "http://a.example:8/"], {}, ("a.example", 8)),
    ],
)
def test_the_listener_is_found_as_the_server_finds_it(
    arguments: list[str], environment: dict[str, str], address: tuple[str, int]
) -> None:
    asked_for = wanted.read(arguments, environment)
    assert asked_for == wanted.Wanted(address=Address(*address), interval_s=1.0, once=False)


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--admin", "off"], {}, "--admin: off is nowhere to ask; expected HOST:PORT"),
        (["--admin", "h:0"], {}, "--admin: 'h:0' is nowhere to ask"),
        ([], {"BACKENDIFY_ADMIN": "off"}, "--admin: off is nowhere to ask"),
        (["--admin", "9090"], {}, "--admin: '9090' has no port"),
        (["--admin", "https://h:1"], {}, "--admin: 'https://h:1' has a colon too many"),
        (["--admin", "http://h:1/stats"], {}, "--admin: 'h:1/stats' has a port that is no number"),
        (["--interval", "1"], {}, "--interval: '1' has no unit; expected a duration from 200ms to 60s"),
        (["--interval", "199ms"], {}, "--interval: '199ms' is under 200ms"),
        (["--interval", "61s"], {}, "--interval: '61s' is over 60s"),
        (["more"], {}, "top: Got unexpected extra argument (more)"),
        (["--wings"], {}, "top: No such option"),
    ],
)
def test_wrong_arguments(arguments: list[str], environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        wanted.read(arguments, environment)
    assert str(caught.value).startswith(complaint)
