"""The command as a process: exit status, standard output and error."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from backendify import cli
from backendify.settings import Settings

ONE = "us=http://localhost:9002"
CLEAN = {
    name: value for name, value in os.environ.items() if "BACKENDIFY" not in name and name != "STATSD_SERVER"
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backendify", *arguments],
        env={**CLEAN, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


WRONG_ARGUMENTS: list[tuple[Sequence[str], str]] = [
    ([], "registry: none given; expected at least one iso=url"),
    (["us"], "registry: 'us' has no '='; expected iso=url"),
    ([""], "registry: '' has no '='"),
    (["usa=http://h"], "registry: 'usa' before the '=' is not two letters"),
    ([ONE, "US=http://h"], "registry: us is given twice"),
    (["us=localhost:9002"], "registry: the URL of us does not begin with http:// or https://"),
    (["us=http://user:password@h"], "registry: the URL of us has credentials in it"),
    (["us=http://h/a\nb"], "registry: the URL of us has a space or a character that cannot be printed"),
    (["a\nb"], r"registry: 'a\nb' has no '='"),
    ([ONE, "--port", "x"], "--port: 'x' is not a whole number; expected a whole number from 0 to 65535"),
    ([ONE, "--port=70000"], "--port: '70000' is out of range"),
    ([ONE, "--port=-1"], "--port: '-1' is not a whole number"),
    ([ONE, "--port="], "--port: '' is not a whole number"),
    ([ONE, "--port"], "--port: has no value; expected a whole number from 0 to 65535"),
    ([ONE, "--deadline", "900"], "--deadline: '900' has no unit; expected a duration from 1ms to 60s"),
    ([ONE, "--deadline", "2m"], "--deadline: '2m' is over 60s"),
    ([ONE, "--cache-size", "64MB"], "--cache-size: '64MB' is not a size"),
    ([ONE, "--admin", "9090"], "--admin: '9090' has no port"),
    ([ONE, "--transport", "curl"], "--transport: 'curl' is not one of the words; expected fast or httpx"),
    ([ONE, "--lame-duck", "9s"], "--lame-duck and --drain: together over 9s"),
    ([ONE, "--registry-ca", "/nonexistent"], "--registry-ca: '/nonexistent' does not exist"),
    ([ONE, "--registry-header", "password"], "--registry-header: what stands before the first colon"),
    ([ONE, "--registry-header", "us: Host: password"], "--registry-header: the header Host for us"),
    ([ONE, "--config", "/nonexistent"], "--config: '/nonexistent' cannot be read"),
    ([ONE, "--deadlin", "1s"], "'--deadlin': no such option; did you mean --deadline?"),
    ([ONE, "--wings"], "'--wings': no such option; expected one that --help lists"),
    ([ONE, "--a\nb"], r"'--a\nb': no such option"),
    ([ONE, "-p", "1"], "'-p': no such option"),
    ([ONE, "--print-config=yes"], "--print-config: has a value; expected none"),
    ([ONE, "--help=yes"], "--help: has a value; expected none"),
    ([ONE, "check"], "check: a command; expected as the first argument"),
    ([ONE, "top"], "top: a command; expected as the first argument"),
    ([ONE, "\udcff"], r"registry: '\udcff' has no '='"),
    (["check"], "registry: none given"),
    (["check", "us=x"], "registry: the URL of us does not begin"),
    (["top", "--interval", "1"], "--interval: '1' has no unit; expected a duration from 200ms to 60s"),
    (["top", ONE], "top: Got unexpected extra argument"),
    (["demo", ONE], "registry: demo brings its own registries; expected options only"),
    (["demo", "--port", "x"], "--port: 'x' is not a whole number"),
    (["demo", "--registry-header", "us: X: password"], "'--registry-header': no such option"),
]


@pytest.mark.parametrize(("arguments", "expected"), WRONG_ARGUMENTS)
def test_wrong_arguments_end_with_one_line_and_status_2(arguments: Sequence[str], expected: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"backendify: {expected}")
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1
    assert "password" not in ended.stderr


def test_a_wrong_variable_ends_with_one_line_and_status_2() -> None:
    ended = run(ONE, BACKENDIFY_DEADLINE="soon")
    assert ended.returncode == 2
    assert ended.stderr.startswith("backendify: BACKENDIFY_DEADLINE: 'soon' is not a duration; expected")
    assert ended.stderr.count("\n") == 1


def test_an_unknown_variable_is_one_line_and_no_error() -> None:
    ended = run("check", ONE, BACKENDIFY_DEADLIN="1s", BACKENDIFY_WINGS="2")
    assert ended.returncode == 0
    assert ended.stderr.startswith(
        "backendify: BACKENDIFY_DEADLIN, BACKENDIFY_WINGS: no such option, ignored"
    )
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["demo", "--help"], ["check", "--help"], ["--help", "x"]]
)
def test_help_begins_with_examples(arguments: Sequence[str]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(
        "Examples:\n  backendify ru=http://localhost:9001 us=http://localhost:9002\n"
    )
    assert "--deadline DURATION" in ended.stdout
    assert ended.stdout.isascii()


def test_version() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("backendify 0.")


def test_print_config_is_read_back_by_config(tmp_path: Path) -> None:
    first = run(ONE, "--print-config", "--ttl", "90m", BACKENDIFY_DRAIN="1s")
    assert (first.returncode, first.stderr) == (0, "")
    assert 'ttl = "90m"  # flag\n' in first.stdout
    assert 'drain = "1s"  # environment\n' in first.stdout
    file = tmp_path / "backendify.toml"
    file.write_text(first.stdout)
    second = run("--config", str(file), "--print-config")
    assert (second.returncode, second.stderr) == (0, "")
    without_origin = [line.partition("  #")[0] for line in second.stdout.splitlines()]
    assert without_origin == [line.partition("  #")[0] for line in first.stdout.splitlines()]
    assert 'ttl = "90m"  # file\n' in second.stdout


def test_print_config_hides_the_values_of_headers() -> None:
    ended = run(ONE, "--print-config", "--registry-header", "us: Authorization: Bearer password")
    assert ended.returncode == 0
    assert '"us: Authorization: ***"' in ended.stdout
    assert "password" not in ended.stdout + ended.stderr


def test_check_tells_registries_and_limits_without_asking_them() -> None:
    ended = run("check", "RU=http://nowhere.invalid/a/", ONE, "--registry-header", "us: X-Key: password")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "ru  http://nowhere.invalid/a\nus  http://localhost:9002  with X-Key\n" in ended.stdout
    assert "deadline              900ms\n" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("memory: ")
    assert "password" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--memory", "64M", "--cache-size", "60M"], "does not fit"),
        (["--cache-path", "/nowhere/cache"], "--cache-path: No such file or directory: /nowhere"),
    ],
)
def test_check_refuses_a_plan_that_cannot_be_kept(arguments: list[str], told: str) -> None:
    """On a disk no cache is too large for the memory: this one is to lie in memory."""
    path = [] if "--cache-path" in arguments else ["--cache-path", "/dev/shm/backendify-check.cache"]  # noqa: S108 - never made
    ended = run("check", ONE, *arguments, *path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1


def interrupt(arguments: list[str], pipe: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Start, interrupt once the process waits for a line of the pipe: status and standard error."""
    command = [sys.executable, "-m", "backendify", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    with process, pipe.open("w"):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_no_traceback_when_interrupted_while_reading_the_configuration(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert interrupt(["--config", str(pipe)], pipe, CLEAN) == (130, "")


def test_no_traceback_when_interrupted_while_importing(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "click.py").write_text(f"open({str(pipe)!r}).read()")
    assert interrupt([ONE], pipe, {**CLEAN, "PYTHONPATH": str(tmp_path)}) == (-signal.SIGINT, "")


def test_output_that_cannot_be_written_is_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "backendify", "--help"],
            env=CLEAN, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "backendify: No space left on device\n"


def test_a_reader_that_left_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "backendify", "--help"],
            env=CLEAN, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize(
    ("module", "arguments", "countries"),
    [("backendify.server", [ONE], ["us"]), ("backendify.rehearsal.demo", ["demo"], [])],
)
def test_a_command_gets_its_settings_and_gives_the_status(
    monkeypatch: pytest.MonkeyPatch, module: str, arguments: list[str], countries: list[str]
) -> None:
    given: list[Settings] = []

    def serve(settings: Settings) -> int:
        given.append(settings)
        return 7

    if module.count(".") > 1:
        monkeypatch.setitem(sys.modules, module.rpartition(".")[0], SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(run=serve))
    assert cli.main([*arguments, "--port", "1"]) == 7
    assert given[0].port == 1
    assert [registry.country for registry in given[0].registries] == countries


def test_what_nobody_foresaw_is_one_line_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Settings) -> int:
        message = "password\nin a text"
        raise RuntimeError(message)

    monkeypatch.setitem(sys.modules, "backendify.server", SimpleNamespace(run=fail))
    assert cli.main([ONE]) == 1
    _, errors = capsys.readouterr()
    assert errors.startswith(
        "backendify: an error of its own, please report it: RuntimeError at test_cli.py:"
    )
    assert errors.count("\n") == 1
    assert "password" not in errors


def test_importing_the_command_line_leaves_the_server_alone() -> None:
    script = "import sys, backendify.cli; print({'httpx', 'granian', 'asyncio', 'ssl'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "set()\n"
