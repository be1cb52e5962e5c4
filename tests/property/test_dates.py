"""Dates against Python's own calendar, queries against Python's own encoder, through the border."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from backendify import _core

V2 = b"application/x-company-v2"

# The same cases every time: a failure of the day would be nobody's fault.
same_every_time = settings(derandomize=True, deadline=None, max_examples=500)

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FRACTIONS = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=30))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def reply(date: str) -> _core.Outcome:
    return _core.normalise(V2, json.dumps({"company_name": "A", "dissolved_on": date}).encode())


def written(local: datetime, fraction: str, separator: str = "T") -> str:
    """Print a date-time as a registry might, the fraction between what `isoformat` writes and its offset."""
    text = local.replace(microsecond=0).isoformat(separator)
    return f"{text[:19]}.{fraction}{text[19:]}" if fraction else text


def told(utc: datetime, fraction: str) -> str:
    kept = fraction[:9].rstrip("0")
    return f"{utc.replace(tzinfo=None, microsecond=0).isoformat()}{'.' if kept else ''}{kept}Z"


@same_every_time
@given(st.datetimes(), OFFSETS, FRACTIONS, st.sampled_from("Tt "))
def test_date_as_datetime_reckons(naive: datetime, offset: timezone, fraction: str, separator: str) -> None:
    local = naive.replace(tzinfo=offset)
    outcome = reply(written(local, fraction, separator))
    try:
        utc = local.astimezone(UTC)
    except OverflowError:  # datetime ends at the years 1 and 9999; the contract begins a year earlier
        assert naive.year in (1, 9999)
        assert outcome.status == (200 if naive.year == 1 else 502)
    else:
        assert (outcome.status, outcome.active_until) == (200, told(utc, fraction))


@same_every_time
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 11, 30)), OFFSETS, FRACTIONS)  # noqa: DTZ001 - made aware below
def test_leap_second(naive: datetime, offset: timezone, fraction: str) -> None:
    some_day_of_next_month = naive.replace(day=1, hour=0, minute=0, second=0, tzinfo=UTC) + timedelta(days=31)
    midnight = some_day_of_next_month.replace(day=1)
    local = written((midnight - timedelta(minutes=1)).astimezone(offset), fraction)
    assert reply(f"{local[:17]}60{local[19:]}").active_until == told(midnight, fraction)
    day_before = written((midnight - timedelta(days=1, minutes=1)).astimezone(offset), fraction)
    assert reply(f"{day_before[:17]}60{day_before[19:]}").status == 502


@same_every_time
@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32), st.integers(0, 24), st.integers(0, 60))
def test_only_what_exists(year: int, month: int, day: int, hour: int, minute: int) -> None:
    try:
        # The calendar repeats after 400 years, and datetime has no year 0.
        datetime((year % 400) + 400, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        status = 502
    else:
        status = 200
    assert reply(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z").status == status


@same_every_time
@given(st.text(max_size=40) | st.text("0123456789-:TtZz+. ", max_size=40))
def test_any_text_is_answered(text: str) -> None:
    outcome = reply(text)
    assert outcome.status in {200, 502}
    assert (outcome.active_until is None) == (outcome.status == 502)
    if outcome.active_until is not None:
        assert reply(outcome.active_until).active_until == outcome.active_until


@same_every_time
@given(st.binary(max_size=200))
def test_any_body_is_answered(body: bytes) -> None:
    assert _core.normalise(V2, body).status in {200, 502}


@same_every_time
@given(TEXT, TEXT, st.sampled_from([quote, quote_plus]), st.permutations(["id", "country_iso"]))
def test_query_round_trip(
    country: str, company_id: str, encode: Callable[[str], str], order: list[str]
) -> None:
    pairs = {"id": encode(company_id), "country_iso": encode(country)}
    query = "&".join(f"{name}={pairs[name]}" for name in order)
    assert _core.parse_query(query.encode()) == (country, company_id)


@same_every_time
@given(st.binary(max_size=80))
def test_any_query_is_answered(query: bytes) -> None:
    try:
        country, company_id = _core.parse_query(query)
    except ValueError as fault:
        assert str(fault)  # noqa: PT017 - both ends are right, a panic is not
    else:
        assert country
        assert company_id
