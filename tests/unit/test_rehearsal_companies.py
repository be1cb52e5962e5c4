"""The truth about every company, checked by a reader of its text that shares no code with its writer."""

import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from backendify.rehearsal.closing import Closing, closing_of
from backendify.rehearsal.companies import Company, Register, expected, isle_of_man

DATE_TIME = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<offset_h>[0-9]{2}):(?P<offset_min>[0-9]{2}))"
)
DAYS_BEFORE_1970 = date(1970, 1, 1).toordinal()


def read(text: str) -> tuple[int, int]:
    """Read RFC 3339 as whole seconds and nanoseconds after 1970, by ordinals of days alone."""
    found = DATE_TIME.fullmatch(text)
    assert found, text
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    # `date` has no year 0: like the year 4 it is a leap year, and began 1,461 days before it
    ordinal = date(year or 4, month, day).toordinal() - (0 if year else 1461)
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    assert hour < 24
    assert minute < 60
    seconds = (ordinal - DAYS_BEFORE_1970) * 86400 + hour * 3600 + minute * 60 + second
    if found["sign"]:
        assert int(found["offset_h"]) < 24
        assert int(found["offset_min"]) < 60
        offset_s = int(found["offset_h"]) * 3600 + int(found["offset_min"]) * 60
        seconds -= -offset_s if found["sign"] == "-" else offset_s
    if second == 60:
        utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        assert (utc.month, utc.day, utc.time()) in {(1, 1, time()), (7, 1, time())}, text
        assert not (found["fraction"] or "").strip("0"), text
    else:
        assert second < 60
    return seconds, int((found["fraction"] or "").ljust(9, "0")[:9])


def test_every_closing_reads_as_the_instant_it_was_made_from() -> None:
    kinds: Counter[str] = Counter()
    for company in isle_of_man().values():
        if not company.closing:
            kinds["none"] += 1
            continue
        text = company.closing.text
        assert read(text) == (company.closing.unix_s, company.closing.nanoseconds), text
        told = company.closing.active_until
        assert read(told) == read(text), told
        assert re.fullmatch(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,8}[1-9])?Z", told
        )
        found = DATE_TIME.fullmatch(text)
        assert found
        kinds[f"separator {text[10]}"] += 1
        kinds[f"zone {text[-1] if not found['sign'] else found['sign']}"] += 1
        kinds["unknown local offset"] += text.endswith("-00:00")
        kinds[f"{len(found['fraction'] or '')} digits"] += 1
        kinds["leap second"] += found["second"] == "60"
        kinds["another day in UTC"] += text[:10] != told[:10]
        kinds["another year in UTC"] += text[:4] != told[:4]
        kinds["29 February"] += told[5:10] == "02-29"
        kinds["year 0000"] += text.startswith("0000")
        kinds["year 9999"] += text.startswith("9999")
    wanted = {"none", "separator T", "separator t", "separator  ", "zone Z", "zone z", "zone +", "zone -"}
    wanted |= {f"{digits} digits" for digits in range(31)}
    wanted |= {"unknown local offset", "leap second", "29 February", "year 0000", "year 9999"}
    wanted |= {"another day in UTC", "another year in UTC"}
    assert wanted <= {kind for kind, count in kinds.items() if count >= 50}, kinds


def test_a_closing_is_the_same_each_time() -> None:
    assert closing_of("000001M") == closing_of("000001M") == isle_of_man()["000001M"].closing
    assert closing_of("000001M") != closing_of("000003M")


def test_the_register_knows_every_company_by_its_number() -> None:
    register = isle_of_man()
    assert len(register) == len(set(register)) == 37_782
    assert register["000001P"].name == "The Kara Café"
    assert {company.number for company in register.values()} == set(register)
    for unknown in ("", "0", "000001c", "000001C0", "ZZZZZZZZ", "\N{SNOWMAN}"):
        assert unknown not in register


def test_the_register_keeps_names_of_any_length() -> None:
    register = Register([("0000002", ""), ("0000001", "«Řeřicha»"), ("0000003", "x" * 300)])
    assert [company.name for company in register.values()] == ["«Řeřicha»", "", "x" * 300]


SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("closing", "now_ns", "active"),
    [
        (None, 0, True),
        (Closing.at(100), 100 * SECOND_NS - 1, True),
        (Closing.at(100), 100 * SECOND_NS, False),
        (Closing.at(100, 1), 100 * SECOND_NS, True),
        (Closing.at(-1, 999_999_999), -1, False),
        (Closing.at(-1, 999_999_999), -2, True),
    ],
)
def test_a_company_is_active_until_its_closing(closing: Closing | None, now_ns: int, *, active: bool) -> None:
    assert expected(Company("1", "One", closing), now_ns)["active"] is active


def test_the_answer_has_its_keys_in_order_and_no_null() -> None:
    answer = expected(Company("1", "One", Closing.at(-1, 120_000_000)), 0)
    assert list(answer.items()) == [
        ("id", "1"),
        ("name", "One"),
        ("active", False),
        ("active_until", "1969-12-31T23:59:59.12Z"),
    ]
    assert list(expected(Company("1", "One"), 0)) == ["id", "name", "active"]
