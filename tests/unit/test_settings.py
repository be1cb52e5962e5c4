"""The one table: what each option takes, where values come from, and what is refused."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendify.address import Address
from backendify.configuration import read, to_toml
from backendify.option import Duration, Size, quoted
from backendify.settings import OPTIONS, BadSettings, Registry, Settings

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "settings.md"
KEYS = [option.key for option in OPTIONS]
ONE = {"registries": ["us=http://localhost:9002"]}


def value_of(key: str, text: str) -> object:
    settings = read({**ONE, key: [text]}, {})
    return getattr(settings, next(option.field for option in OPTIONS if option.key == key))


def registry_of(url: str) -> Registry:
    return read({"registries": [f"us={url}"]}, {}).registries[0]


def complaint(flags: dict[str, list[str]], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(BadSettings) as raised:
        read({**ONE, **flags}, environment or {})
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backendify.toml"


@pytest.fixture
def authority() -> Path:
    return Path(certifi.where())


def test_defaults_are_those_of_the_contract() -> None:
    settings = read(ONE, {})
    assert settings == Settings(registries=(Registry("us", "http", "localhost", 9002),))
    assert (settings.host, settings.port) == ("0.0.0.0", 9000)
    assert (settings.deadline_ms, settings.fetch_timeout_ms, settings.connect_timeout_ms) == (
        900,
        10_000,
        300,
    )
    assert (settings.ttl_ms, settings.negative_ttl_ms, settings.stale_if_error_ms) == (
        86_400_000,
        3_600_000,
        0,
    )
    assert (settings.lame_duck_ms, settings.drain_ms) == (2000, 5000)
    assert (settings.cache_bytes, settings.memory_bytes, settings.registry_ca) == (None, None, None)
    assert (settings.fetches_max, settings.registry_concurrency) == (1024, 200)
    assert settings.refresh_ahead is True
    assert settings.transport == "fast"
    assert settings.admin == Address("127.0.0.1", 9090)
    assert settings.statsd_server is None
    assert settings.ignored == ()


def test_each_field_is_an_option_or_says_where_values_came_from() -> None:
    assert {field.name for field in fields(Settings)} - {option.field for option in OPTIONS} == {
        "origins",
        "ignored",
    }


RIGHT_VALUES: list[tuple[str, str, object]] = [
    ("deadline", "1ms", 1),
    ("deadline", "60s", 60_000),
    ("deadline", "1m", 60_000),
    ("ttl", "24h", 86_400_000),
    ("ttl", "1d", 86_400_000),
    ("ttl", "30d", 2_592_000_000),
    ("negative_ttl", "0", 0),
    ("stale_if_error", "0s", 0),
    ("stale_if_error", "off", 0),
    ("lame_duck", "0", 0),
    ("cache_size", "auto", None),
    ("cache_size", "64M", 64 << 20),
    ("cache_size", "64m", 64 << 20),
    ("cache_size", "1G", 1 << 30),
    ("cache_size", "1048576", 1 << 20),
    ("memory", "131072K", 128 << 20),
    ("port", "0", 0),
    ("port", "65535", 65_535),
    ("host", "127.0.0.1", "127.0.0.1"),
    ("host", "::", "::"),
    ("host", "[::1]", "::1"),
    ("host", "LOCALHOST", "localhost"),
    ("host", "my_service.internal.", "my_service.internal."),
    ("admin", "off", None),
    ("admin", "0.0.0.0:0", Address("0.0.0.0", 0)),
    ("admin", "[::1]:9090", Address("::1", 9090)),
    ("refresh_ahead", "off", False),
    ("refresh_ahead", "True", True),
    ("transport", "httpx", "httpx"),
    ("statsd_server", "nowhere at all", "nowhere at all"),
    ("statsd_server", "\udcff:8125", r"\udcff:8125"),
    ("registry_ca", "off", None),
]


@pytest.mark.parametrize(("key", "text", "value"), RIGHT_VALUES)
def test_right_values(key: str, text: str, value: object) -> None:
    assert value_of(key, text) == value


WRONG_VALUES: list[tuple[str, str, str]] = [
    ("deadline", "900", "--deadline: '900' has no unit; expected a duration from 1ms to 60s: "),
    ("deadline", "0", "--deadline: '0' is under 1ms; "),
    ("deadline", "0ms", "--deadline: '0ms' is under 1ms; "),
    ("deadline", "off", "'off' is not a duration"),
    ("deadline", "61s", "'61s' is over 60s"),
    ("deadline", "1.5s", "is not a duration"),
    ("deadline", "-1s", "is not a duration"),
    ("deadline", "10S", "is not a duration"),
    ("deadline", "10 s", "is not a duration"),
    ("deadline", "٣s", "is not a duration"),
    ("deadline", "", "'' is not a duration"),
    ("deadline", "9" * 5000 + "s", "is not a duration"),
    ("ttl", "31d", "is over 30d"),
    ("lame_duck", "10s", "is over 9s; expected a duration from 0 to 9s or off"),
    ("cache_size", "1023K", "is under 1M"),
    (
        "cache_size",
        "64MB",
        "is not a size; expected a size from 1M to 1T: a whole number and K, M, G or T, or auto",
    ),
    ("cache_size", "off", "is not a size"),
    ("memory", "10M", "is under 64M"),
    ("memory", "2T", "is over 1T"),
    ("port", "65536", "--port: '65536' is out of range; expected a whole number from 0 to 65535"),
    ("port", "-1", "is not a whole number"),
    ("port", "9_000", "is not a whole number"),
    ("port", "\uff19", "is not a whole number"),
    ("fetches_max", "0", "is out of range; expected a whole number from 1 to 65536"),
    ("host", "", "is no host name or IP address"),
    ("host", "0.0.0.0:9000", "is no host name or IP address"),
    ("host", "256.0.0.1", "is no host name or IP address"),
    ("host", "a b", "is no host name or IP address"),
    ("host", "http://a", "is no host name or IP address"),
    ("host", "-a", "is no host name or IP address"),
    ("host", "a." * 127 + "aa", "is no host name or IP address"),
    ("admin", "9090", "has no port"),
    (
        "admin",
        ":9090",
        "is no host name or IP address; expected HOST:PORT such as 127.0.0.1:9090 or [::1]:9090, or off",
    ),
    ("admin", "::1", "has a colon too many"),
    ("admin", "localhost:", "has a port that is no number"),
    ("admin", "localhost:70000", "has a port that is no number from 0 to 65535"),
    ("refresh_ahead", "maybe", "is neither on nor off"),
    ("transport", "curl", "is not one of the words; expected fast or httpx"),
    ("registry_ca", "/nonexistent/ca.pem", "does not exist; expected a readable file"),
    ("registry_ca", "/", "is no file"),
    ("registry_ca", "", "is no file name"),
    ("registry_ca", __file__, "holds no certificate"),
    ("registry_ca", "/dev/null", "is no file"),
    (
        "config",
        "/nonexistent.toml",
        "--config: '/nonexistent.toml' cannot be read (No such file or directory)",
    ),
    ("config", "/", "cannot be read (Is a directory)"),
    ("config", "/dev/zero", "is over 1 MiB"),
]


@pytest.mark.parametrize(("key", "text", "expected"), WRONG_VALUES)
def test_wrong_values(key: str, text: str, expected: str) -> None:
    assert expected in complaint({key: [text]})


@given(st.sampled_from([key for key in KEYS if key not in {"config", "registry_ca"}]), st.text())
def test_any_text_is_a_value_or_a_complaint_of_one_line(key: str, text: str) -> None:
    message = ""
    try:
        read({**ONE, key: [text]}, {})
    except BadSettings as error:
        message = str(error)
    assert (not message) == (not message.partition("; expected ")[2])
    assert "\n" not in message


@given(st.integers(0, 2_592_000_000))
def test_durations_are_read_as_they_were_written(duration_ms: int) -> None:
    kind = Duration("0", "30d")
    assert kind.parse(kind.write(duration_ms)) == duration_ms


@given(st.integers(0, 1 << 40))
def test_sizes_are_read_as_they_were_written(size_bytes: int) -> None:
    kind = Size("0", "1T")
    assert kind.parse(kind.write(size_bytes)) == size_bytes


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_texts_are_toml(text: str) -> None:
    assert tomllib.loads(f"key = {quoted(text)}") == {"key": text}


RIGHT_URLS = [
    ("http://localhost:9001", "http://localhost:9001", ""),
    ("HTTPS://Registry.Example", "https://registry.example", ""),
    ("https://registry.example:443/", "https://registry.example", ""),
    ("http://registry.example:/", "http://registry.example", ""),
    ("http://h:1/api", "http://h:1/api", "/api"),
    ("http://h:1/api/", "http://h:1/api", "/api"),
    ("http://h/a//b/", "http://h/a//b", "/a//b"),
    ("http://h/a%20b;c=d@e:f", "http://h/a%20b;c=d@e:f", "/a%20b;c=d@e:f"),
    ("http://h/a=b", "http://h/a=b", "/a=b"),
    ("http://h/..a/.b/...", "http://h/..a/.b/...", "/..a/.b/..."),
    ("http://[::1]:9001/api", "http://[::1]:9001/api", "/api"),
    ("http://[0:0::1]", "http://[::1]", ""),
    ("http://127.0.0.1:80", "http://127.0.0.1", ""),
    ("http://bücher.example", "http://xn--bcher-kva.example", ""),
    ("http://my_registry:8080", "http://my_registry:8080", ""),
]


@pytest.mark.parametrize(("text", "url", "base_path"), RIGHT_URLS)
def test_right_urls(text: str, url: str, base_path: str) -> None:
    registry = registry_of(text)
    assert registry.url == url
    assert registry.base_path == base_path


WRONG_URLS = [
    ("", "does not begin with http:// or https://"),
    ("localhost:9001", "does not begin with http:// or https://"),
    ("//localhost:9001", "does not begin with http:// or https://"),
    ("ftp://h", "does not begin with http:// or https://"),
    ("http:/h", "has no host"),
    ("http://", "has no host"),
    ("http://:80", "has no host"),
    ("http:\\\\h", "has no host"),
    ("http://h:0", "has a port that is no number from 1 to 65535"),
    ("http://h:65536", "has a port that is no number"),
    ("http://h:x", "has a port that is no number"),
    ("http://h:-1", "has a port that is no number"),
    ("http://h:\uff18\uff10", "has a "),
    ("http://h?", "has a query"),
    ("http://h/?a=b", "has a query"),
    ("http://h/#", "has a fragment"),
    ("http://h/#a?b", "has a fragment"),
    ("http://user@h", "has credentials in it"),
    ("http://user:password@h", "has credentials in it"),
    ("http://@h", "has credentials in it"),
    ("http://h/..", "has a dot segment"),
    ("http://h/./a", "has a dot segment"),
    ("http://h/a/../b", "has a dot segment"),
    ("http://h/%2e%2E/a", "has a dot segment"),
    ("http://h/.%2e/a", "has a dot segment"),
    ("http://h/%2E", "has a dot segment"),
    ("http://h/a%2f..%2Fb", "has a dot segment"),
    ("http://h/a b", "has a space"),
    (" http://h", "has a space"),
    ("http://h/\t", "has a space or a character that cannot be printed"),
    ("http://h/a\nb", "has a space or a character that cannot be printed"),
    ("http://h/\x00", "has a space or a character that cannot be printed"),
    ("http://h/\udcff", "has a space or a character that cannot be printed"),
    ("http://h/ü", "must be percent-encoded"),
    ("http://h/%zz", "must be percent-encoded"),
    ("http://h/a%2", "must be percent-encoded"),
    ("http://h/a\\b", "must be percent-encoded"),
    ("http://[::1", "has a host that is no host name or IP address"),
    ("http://[::1%25eth0]", "has a host that is no host name or IP address"),
    ("http://[v1.a]", "has a host that is no host name or IP address"),
    ("http://256.1.1.1", "has a host that is no host name or IP address"),
    ("http://a..b", "has a host that is no host name or IP address"),
    ("http://%61", "has a host that is no host name or IP address"),
    ("http://h/" + "a" * 2048, "is over 2048 characters"),
]


@pytest.mark.parametrize(("url", "expected"), WRONG_URLS)
def test_wrong_urls(url: str, expected: str) -> None:
    message = complaint({"registries": [f"US={url}"]})
    assert message.startswith("registry: the URL of US ")
    assert expected in message
    assert "password" not in message


WRONG_PAIRS = [
    ([], "registry: none given; expected at least one iso=url such as us=http://"),
    ([""], "registry: '' has no '='"),
    (["us"], "registry: 'us' has no '='; expected iso=url"),
    (["http://h"], "registry: 'http://h' has no '='"),
    (["=http://h"], "registry: '' before the '=' is not two letters"),
    (["usa=http://h"], "registry: 'usa' before the '=' is not two letters"),
    (["u1=http://h"], "is not two letters"),
    (["üs=http://h"], "is not two letters"),
    (["us =http://h"], "is not two letters"),
    (["us\n=http://h"], "is not two letters"),
    (["us=http://h", "US=http://i"], "registry: us is given twice; expected one registry a country"),
    (["http://user:password@h"], "'***@h' has no '='"),
    (["http://user:password@h/?a=b"], "'***@h/' before the '=' is not two letters"),
    (["http://h?token:password"], "'http://h' has no '='"),
    (["us:password@x=http://h"], "'***@x' before the '=' is not two letters"),
    ([f"{a}{b}=http://h" for a in "abcdefghij" for b in "abcdefghijklmnopqrstuvwxyz"], "at most 255"),
]


@pytest.mark.parametrize(("pairs", "expected"), WRONG_PAIRS)
def test_wrong_pairs(pairs: list[str], expected: str) -> None:
    message = complaint({"registries": pairs})
    assert expected in message
    assert "password" not in message


SECRETS = st.text(st.characters(exclude_characters="@?=", codec="utf-8"), max_size=30).map(
    lambda text: f"§{text}§"
)


@given(
    st.sampled_from(
        ["us=http://u:{}@h", "us=http://{}@h:1/x", "us=//{}@h", "{}@h", "us=http://h?{}", "us=x://{}@h/?b"]
    ),
    SECRETS,
)
def test_no_complaint_tells_a_credential(pattern: str, secret: str) -> None:
    assert "§" not in complaint({"registries": [pattern.format(secret)]})


def test_headers_belong_to_their_registry_and_are_never_shown() -> None:
    settings = read(
        {
            "registries": ["us=http://h", "ru=http://i"],
            "registry_header": ["US: Authorization: Bearer a:b=", "ru:X-Key:  k  ", "us: X-Other: \t1 2"],
        },
        {},
    )
    assert [registry.headers for registry in settings.registries] == [
        (("Authorization", "Bearer a:b="), ("X-Other", "1 2")),
        (("X-Key", "k"),),
    ]
    assert "Bearer" not in repr(settings)
    assert "Bearer" not in to_toml(settings)
    assert 'registry_header = ["us: Authorization: ***", "ru: X-Key: ***", "us: X-Other: ***"]' in to_toml(
        settings
    )
    assert "The values of headers are hidden" in to_toml(settings)


WRONG_HEADERS = [
    ("", "is not two letters"),
    ("Authorization: secret", "what stands before the first colon is not two letters"),
    ("us", "the header for us has no colon after its name"),
    ("us: secret", "the header for us has no colon after its name"),
    ("us: : secret", "the header for us has a name that is no token"),
    ("us: a b: secret", "has a name that is no token"),
    ("us: ä: secret", "has a name that is no token"),
    ("us: a\r: secret", "has a name that is no token"),
    ("us: X:", "the header X for us has no value"),
    ("us: X: secret\r\nY: 1", "has a value with line ends, control characters or letters outside ASCII"),
    ("us: X: secret\nY", "has a value with line ends"),
    ("us: X: secret\x00", "has a value with line ends"),
    ("us: X: secret\x7f", "has a value with line ends"),
    ("us: X: secretä", "has a value with line ends"),
    ("us: X: " + "secret" * 2000, "has a value of over 8192 characters"),
    ("us: X: ***", "has a hidden value; write the real one"),
    ("ru: X: secret", "--registry-header: ru has no registry; expected one of us"),
    *(
        (f"us: {name}: secret", f"the header {name} for us is this service's own to send")
        for name in ("Host", "content-length", "Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade")
    ),
    *(
        (f"us: {name}: secret", f"the header {name} for us is this service's own to send")
        for name in ("Keep-Alive", "Proxy-Connection", "Accept-Encoding", "Expect", "Range")
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_HEADERS)
def test_wrong_headers(text: str, expected: str) -> None:
    message = complaint({"registry_header": [text]})
    assert message.startswith("--registry-header: ")
    assert expected in message
    assert "; expected " in message
    assert "secret" not in message


def test_a_header_is_given_once() -> None:
    message = complaint({"registry_header": ["us: X: secret", "US: x: secret"]})
    assert message == "--registry-header: x for us is given twice; expected it once"


def test_flag_before_environment_before_file_before_default(file: Path) -> None:
    file.write_text('deadline = "1s"\ndrain = "1s"\nlame_duck = "1s"\nregistries = {us = "http://file"}\n')
    environment = {
        "BACKENDIFY_DEADLINE": "2s",
        "BACKENDIFY_DRAIN": "2s",
        "BACKENDIFY_REGISTRIES": "ru=http://e",
    }
    settings = read({"config": [str(file)], "deadline": ["3s"]}, environment)
    assert (settings.deadline_ms, settings.drain_ms, settings.lame_duck_ms) == (3000, 2000, 1000)
    assert settings.ttl_ms == 86_400_000
    assert [registry.url for registry in settings.registries] == ["http://e"]
    assert settings.origins == {
        "config": "flag",
        "deadline": "flag",
        "drain": "environment",
        "registries": "environment",
        "lame_duck": "file",
    }


def test_the_last_flag_counts() -> None:
    assert read({**ONE, "port": ["1", "2"]}, {}).port == 2


def test_each_option_is_read_from_the_environment(file: Path, authority: Path) -> None:
    file.write_text("")
    texts = {
        "registries": " us=http://h \n ru=http://i:1/b ",
        "host": "::1",
        "port": "1",
        "deadline": "1s",
        "fetch_timeout": "2s",
        "connect_timeout": "3s",
        "ttl": "4s",
        "negative_ttl": "5s",
        "stale_if_error": "6s",
        "refresh_ahead": "off",
        "lane": "off",
        "tries": "2",
        "lame_duck": "1s",
        "drain": "8s",
        "cache_size": "9M",
        "cache_path": str(file),
        "workers": "3",
        "memory": "100M",
        "registry_ca": str(authority),
        "registry_header": "us: A: 1\r\n\nru: B: 2\n",
        "transport": "httpx",
        "fetches_max": "11",
        "registry_concurrency": "12",
        "admin": "localhost:13",
        "statsd_server": "h:14",
        "config": str(file),
        "print_config": "on",
    }
    assert sorted(texts) == sorted(KEYS)
    settings = read({}, {f"BACKENDIFY_{key.upper()}": text for key, text in texts.items()})
    assert settings == Settings(
        registries=(
            Registry("us", "http", "h", 80, "", (("A", "1"),)),
            Registry("ru", "http", "i", 1, "/b", (("B", "2"),)),
        ),
        registry_headers=settings.registry_headers,
        host="::1",
        port=1,
        deadline_ms=1000,
        fetch_timeout_ms=2000,
        connect_timeout_ms=3000,
        ttl_ms=4000,
        negative_ttl_ms=5000,
        stale_if_error_ms=6000,
        refresh_ahead=False,
        lane=False,
        tries=2,
        lame_duck_ms=1000,
        drain_ms=8000,
        cache_bytes=9 << 20,
        cache_path=file,
        workers=3,
        memory_bytes=100 << 20,
        registry_ca=authority,
        transport="httpx",
        fetches_max=11,
        registry_concurrency=12,
        admin=Address("localhost", 13),
        statsd_server="h:14",
    )
    assert settings.config == file
    assert settings.print_config is True
    assert set(settings.origins.values()) == {"environment"}


def test_an_empty_variable_is_not_set() -> None:
    assert read(ONE, {"BACKENDIFY_DEADLINE": "", "STATSD_SERVER": ""}) == read(ONE, {})


@pytest.mark.parametrize(
    ("environment", "server"),
    [
        ({"STATSD_SERVER": "a:1"}, "a:1"),
        ({"STATSD_SERVER": "a:1", "BACKENDIFY_STATSD_SERVER": "b:1"}, "b:1"),
        ({"STATSD_SERVER": "off"}, None),
        ({"STATSD_SERVER": "not an address"}, "not an address"),
    ],
)
def test_the_statsd_server_has_a_variable_of_its_own(environment: dict[str, str], server: str | None) -> None:
    assert read(ONE, environment).statsd_server == server


def test_a_wrong_variable_is_named() -> None:
    assert complaint({}, {"BACKENDIFY_TTL": "24"}).startswith(
        "BACKENDIFY_TTL: '24' has no unit; expected a duration"
    )
    assert complaint({}, {"BACKENDIFY_CONFIG": "/x"}).startswith("BACKENDIFY_CONFIG: '/x' cannot be read")
    message = complaint({"registries": []}, {"BACKENDIFY_REGISTRIES": "us=x"})
    assert message.startswith("registry: none given")


def test_unknown_variables_are_told_and_what_an_orchestrator_sets_is_not() -> None:
    environment = {
        "BACKENDIFY_DEADLIN": "1s",
        "BACKENDIFY_PORT": "tcp://10.96.0.1:9000",
        "BACKENDIFY_SERVICE_HOST": "10.96.0.1",
        "BACKENDIFY_SERVICE_PORT_HTTP": "9000",
        "BACKENDIFY_PORT_9000_TCP_ADDR": "10.96.0.1",
        "BACKENDIFY_ADMIN_PORT": "tcp://10.96.0.2:9090",
        "BACKENDIFY_ADMIN_SERVICE_HOST": "10.96.0.2",
        "HOME": "/",
    }
    settings = read(ONE, environment)
    assert settings.ignored == ("BACKENDIFY_DEADLIN",)
    assert settings.port == 9000


def test_the_admin_listener_knows_whether_it_was_asked_for_by_name() -> None:
    assert not read(ONE, {}).admin_by_name
    assert read({**ONE, "admin": ["127.0.0.1:9090"]}, {}).admin_by_name
    assert read(ONE, {"BACKENDIFY_ADMIN": "127.0.0.1:9090"}).admin_by_name
    assert not read({**ONE, "admin": ["off"]}, {}).admin_by_name


def test_lame_duck_and_drain_end_before_engines_kill() -> None:
    assert read({**ONE, "lame_duck": ["0"], "drain": ["9s"]}, {}).drain_ms == 9000
    assert complaint({"lame_duck": ["5s"]}).startswith("--lame-duck and --drain: together over 9s; expected")


RIGHT_FILES = [
    'registries = {us = "http://h", ru = "http://i"}',
    '[registries]\nus = "http://h"\nru = "http://i"',
    'registries = ["us=http://h", "ru=http://i"]',
    'registries = "us=http://h ru=http://i"',
]


@pytest.mark.parametrize("text", RIGHT_FILES)
def test_registries_in_a_file(text: str, file: Path) -> None:
    file.write_text(text)
    settings = read({"config": [str(file)]}, {})
    assert [registry.url for registry in settings.registries] == ["http://h", "http://i"]


WRONG_FILES = [
    ("deadlin = 1", "'deadlin' in ", "no such key; did you mean deadline?"),
    ("fetch-timeout = '1s'", "'fetch-timeout' in ", "did you mean fetch_timeout"),
    ("wings = 2", "'wings' in ", "expected one of registries, host, port"),
    ("config = 'x'", "'config' in ", "no such key"),
    ("print_config = true", "'print_config' in ", "no such key"),
    ("deadline = 900", "deadline in ", ": '900' has no unit; expected a duration"),
    ("deadline = 0.9", "deadline in ", "the value has the wrong type; expected a duration"),
    ("deadline = ['1s']", "deadline in ", "the value has the wrong type"),
    ("deadline = {a = 1}", "deadline in ", "the value has the wrong type"),
    ("deadline = 2020-01-01", "deadline in ", "the value has the wrong type"),
    ("deadline = true", "deadline in ", "'true' is not a duration"),
    ("port = 0x" + "f" * 5000, "port in ", "the value has the wrong type"),
    ("port = 70000", "port in ", "'70000' is out of range"),
    ("refresh_ahead = 2", "refresh_ahead in ", "'2' is neither on nor off"),
    ("registries = {us = 1}", "registries in ", "the value has the wrong type; expected iso=url"),
    ("registries = {us = 'http://a:password@h'}", "registries in ", "the URL of us has credentials"),
    ("registry_header = {us = 'password'}", "registry_header in ", "the value has the wrong type"),
    ("registry_header = [['password']]", "registry_header in ", "the value has the wrong type"),
    ("deadline = '1s'\ndeadline = '1s'", "--config: ", "is not TOML (Cannot overwrite a value"),
    ("deadline", "--config: ", "is not TOML ("),
    ("a = " + "[" * 100_000, "--config: ", "is not TOML (nested too deep)"),
    ("port = " + "9" * 5000, "--config: ", "is not TOML ("),
]


@pytest.mark.parametrize(("text", "start", "expected"), WRONG_FILES)
def test_wrong_files(text: str, start: str, expected: str, file: Path) -> None:
    file.write_text(text)
    message = complaint({"config": [str(file)]}) if "registries" not in text else _complaint_of(file)
    assert message.startswith(start)
    assert expected in message
    assert "password" not in message


def _complaint_of(file: Path) -> str:
    with pytest.raises(BadSettings) as raised:
        read({"config": [str(file)]}, {})
    return str(raised.value)


def test_a_file_that_is_not_utf_8(file: Path) -> None:
    file.write_bytes(b"host = '\xff'")
    assert "is not TOML" in complaint({"config": [str(file)]})


def test_what_is_printed_is_read_back(file: Path, authority: Path) -> None:
    flags = {
        "registries": ["ru=http://localhost:9001/a", "us=https://[::1]/b%20c"],
        "ttl": ["90m"],
        "stale_if_error": ["1d"],
        "refresh_ahead": ["off"],
        "lane": ["off"],
        "cache_size": ["1G"],
        "registry_ca": [str(authority)],
        "admin": ["[::1]:0"],
        "statsd_server": ['"é\\\x7f\n😀'],
        "fetches_max": ["7"],
    }
    settings = read(flags, {"BACKENDIFY_PORT": "8000"})
    text = to_toml(settings)
    file.write_text(text)
    assert read({"config": [str(file)]}, {}) == settings
    assert re.search(r'^ttl = "90m"  # flag$', text, re.MULTILINE)
    assert re.search(r"^port = 8000  # environment$", text, re.MULTILINE)
    assert re.search(r'^drain = "5s"  # default$', text, re.MULTILINE)
    assert text.isascii()


def test_hidden_headers_are_not_taken_for_values(file: Path) -> None:
    file.write_text(to_toml(read({**ONE, "registry_header": ["us: X: secret"]}, {})))
    assert "the header X for us has a hidden value" in _complaint_of(file)


def test_a_command_with_registries_of_its_own_leaves_the_others_aside() -> None:
    environment = {"BACKENDIFY_REGISTRIES": "us=http://h", "BACKENDIFY_REGISTRY_HEADER": "us: X: 1"}
    settings = read({"port": ["1"]}, environment, with_registries=False)
    assert settings == Settings(port=1)


def documented() -> str:
    rows = ["| flag | environment | TOML | default | takes | |", "|---|---|---|---|---|---|"]
    for option in OPTIONS:
        flag = "`iso=url …`" if option.key == "registries" else f"`{option.flag}`"
        key = f"`{option.key}`" if option.in_file else ""
        default = "" if option.default is None else f"`{option.default}`"
        variables = ", ".join(f"`{name}`" for name in option.variables)
        takes = option.kind.expected.replace("|", r"\|")
        rows.append(f"| {flag} | {variables} | {key} | {default} | {takes} | {option.help} |")
    return "\n".join(rows)


def test_the_documentation_shows_the_table() -> None:
    assert documented() in DOCUMENTATION.read_text(encoding="utf-8")
