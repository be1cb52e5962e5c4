"""The command line: texts to settings, settings to a command. Wrong input is one line and status 2."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from backendify import configuration
from backendify.configuration import to_toml
from backendify.option import shown
from backendify.settings import OPTIONS, BadSettings, Option, Settings

_BAD_USAGE = 2
_FAILED = 1
_INTERRUPTED = 130

# Their options are their own; --help after them tells them.
_REHEARSE = "rehearse"
_REHEARSE_TEXT = "Play flaky registries and impatient customers against a server, and tell how well it does."
_TOP = "top"
_TOP_TEXT = "Show a running server live."

_EXAMPLES = """\
Examples:
  backendify ru=http://localhost:9001 us=http://localhost:9002
  backendify --deadline 900ms --ttl 24h us=https://registry.example/api
  backendify --config backendify.toml
  backendify check us=https://registry.example/api
  backendify demo
  backendify rehearse fire --sla 95
  backendify top
"""
_RULES = """\
Each option may also stand in the environment (BACKENDIFY_DEADLINE) or in a TOML file (deadline).
The flag counts first, then the environment, the file, the default. Durations are written 900ms, 10s,
5m, 24h, 30d; sizes 64M, 1G.
"""


@dataclass(frozen=True, slots=True)
class _Command:
    """What a first argument of this name runs."""

    name: str
    usage: str
    text: str
    run: Callable[[Settings], int]
    with_registries: bool = True

    @property
    def options(self) -> tuple[Option, ...]:
        """The options that the command takes; the pairs are no option."""
        without = {"registries"} if self.with_registries else {"registries", "registry_header"}
        return tuple(option for option in OPTIONS if option.key not in without)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: the exit status."""
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        click.echo(nl=False)  # flushes, where there is a standard output at all
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BadSettings as error:
        _complain(str(error))
        return _BAD_USAGE
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        _drop_output()
        if not isinstance(error, BrokenPipeError):
            _complain(_describe(error))
        return _FAILED
    return status


def _run(arguments: list[str]) -> int:
    if arguments[:1] == [_REHEARSE]:
        return _rehearse(arguments[1:])
    if arguments[:1] == [_TOP]:
        return _top(arguments[1:])
    command = _COMMANDS[arguments.pop(0)] if arguments and arguments[0] in _COMMANDS else _SERVE
    flags = _parse(command, arguments)
    if flags is None:
        return 0
    settings = configuration.read(flags, os.environ, with_registries=command.with_registries)
    if settings.ignored:
        _complain(f"{', '.join(settings.ignored)}: no such option, ignored (--help lists them)")
    if settings.print_config:
        click.echo(to_toml(settings), nl=False)
        return 0
    return command.run(settings)


def _parse(command: _Command, arguments: list[str]) -> dict[str, Sequence[str]] | None:
    """Read the arguments: the texts given for each key, or none when `--help` or `--version` answered."""
    parser = _Parser(command)
    try:
        given = parser.make_context("backendify", arguments).params
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        raise BadSettings(_describe_usage(error, command)) from None
    pairs = given["registries"]
    if pairs and not command.with_registries:
        message = f"registry: {command.name} brings its own registries; expected options only"
        raise BadSettings(message)
    if stray := next((text for text in pairs if text in {*_COMMANDS, _REHEARSE, _TOP}), None):
        message = f"{stray}: a command; expected as the first argument"
        raise BadSettings(message)
    for option in command.options:
        if option.negative_flag and given.pop(f"no_{option.key}"):
            given[option.key] = [*given[option.key], "off"]
    return {
        key: ["on"] if texts is True else texts for key, texts in given.items() if texts not in ((), False)
    }


class _Parser(click.Command):
    """Takes the arguments apart; reading and checking the values is the settings' business."""

    def __init__(self, command: _Command) -> None:
        params: list[click.Parameter] = [flag for option in command.options for flag in _flags(option)]
        version = click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_tell_version,
            help="Print the version.",
        )
        super().__init__(
            command.name,
            params=[*params, version, click.Argument(["registries"], nargs=-1)],
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        self._command = command

    def get_help(self, ctx: click.Context) -> str:
        """Write the help, examples first."""
        formatter = ctx.make_formatter()
        formatter.write(_EXAMPLES)
        formatter.write_paragraph()
        formatter.write_usage("backendify", self._command.usage)
        formatter.write_paragraph()
        formatter.write_text(self._command.text)
        formatter.write_paragraph()
        formatter.write_text(_RULES)
        with formatter.section("Commands"):
            rows = [(command.name, command.text) for command in _COMMANDS.values()]
            formatter.write_dl([*rows, (_REHEARSE, _REHEARSE_TEXT), (_TOP, _TOP_TEXT)])
        with formatter.section("Options"):
            options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
            formatter.write_dl([row for option in options if (row := option.get_help_record(ctx))])
        return formatter.getvalue().rstrip()


def _flags(option: Option) -> Iterator[click.Option]:
    yield _flag(option)
    if option.negative_flag:
        help_text = f"The same as {option.flag} off."
        yield click.Option([option.negative_flag, f"no_{option.key}"], is_flag=True, help=help_text)


def _flag(option: Option) -> click.Option:
    # Given more than once, the last one counts: the settings choose it, as they know which options take many.
    if option.is_bare_flag:
        return click.Option([option.flag, option.key], is_flag=True, help=option.help)
    default = "" if option.takes_many or option.default == "off" else f" [{option.default}]"
    return click.Option(
        [option.flag, option.key], multiple=True, metavar=option.kind.metavar, help=option.help + default
    )


def _tell_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that only this option needs

        click.echo(f"backendify {version('backendify')}")
        ctx.exit()


def _describe_usage(error: click.UsageError, command: _Command) -> str:
    """Say click's complaint in our form."""
    if isinstance(error, click.NoSuchOption):
        hint = (
            f"did you mean {error.possibilities[0]}?"
            if error.possibilities
            else "expected one that --help lists"
        )
        return f"{shown(error.option_name)}: no such option; {hint}"
    if isinstance(error, click.BadOptionUsage):
        option = next((option for option in command.options if option.flag == error.option_name), None)
        if option is None or option.is_bare_flag:
            return f"{error.option_name}: has a value; expected none"
        return f"{error.option_name}: has no value; expected {option.kind.expected}"
    return " ".join(error.format_message().split())


def _drop_output() -> None:
    """Leave nothing that the interpreter would fail to write at its end (library docs, `signal`)."""
    try:
        click.echo(nl=False)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complain(message: str) -> None:
    # Whatever a message holds, it is one line.
    with contextlib.suppress(OSError):
        click.echo(f"backendify: {' '.join(message.split())}", err=True)


def _describe(error: Exception) -> str:
    """Say in one line what nobody foresaw. Not the text of the error: it may hold a secret."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"an error of its own, please report it: {type(error).__name__}{place}"


def _serve(settings: Settings) -> int:
    from backendify.server import run  # noqa: PLC0415 - 0.2 s that wrong input, --help and --version do not need

    return run(settings)


def _demo(settings: Settings) -> int:
    from backendify.rehearsal.demo import run  # noqa: PLC0415 - the same

    return run(settings)


def _rehearse(arguments: list[str]) -> int:
    from backendify.rehearsal.rehearse import run  # noqa: PLC0415 - the same

    return run(arguments)


def _top(arguments: list[str]) -> int:
    from backendify.top import run  # noqa: PLC0415 - the same

    return run(arguments, os.environ)


def _check(settings: Settings) -> int:
    """Tell what the configuration says, and how memory would be shared out here; no registry is asked."""
    from backendify.app import plan_memory  # noqa: PLC0415 - the same
    from backendify.cache_file import cache_path  # noqa: PLC0415 - the same
    from backendify.memory import NotEnoughMemory  # noqa: PLC0415 - the same

    try:
        memory = plan_memory(settings, cache_path(settings, settings.port)).line()
    except NotEnoughMemory as error:
        _complain(str(error))
        return _BAD_USAGE
    except OSError as error:
        _complain(f"--cache-path: {error.strerror}: {error.filename}")
        return _BAD_USAGE
    for registry in settings.registries:
        names = ", ".join(name for name, _ in registry.headers)
        click.echo(f"{registry.country}  {registry.url}" + (f"  with {names}" if names else ""))
    for option in OPTIONS:
        if option.in_file and not option.takes_many:
            click.echo(f"{option.key:20}  {option.kind.write(getattr(settings, option.field))}")
    click.echo(memory)
    return 0


_SERVE = _Command(
    "serve",
    "[OPTIONS] ISO=URL ...",
    "Serve the companies of these registries: each argument is a country's two letters, '=', and a URL.",
    _serve,
)
_COMMANDS = {
    command.name: command
    for command in (
        _Command(
            "demo",
            "demo [OPTIONS]",
            "Serve fake, unreliable registries of its own and say what to try.",
            _demo,
            with_registries=False,
        ),
        _Command(
            "check",
            "check [OPTIONS] ISO=URL ...",
            "Check a configuration; tell what it says, and the memory plan.",
            _check,
        ),
    )
}
