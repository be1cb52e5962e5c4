"""Puts the settings together from flags, environment and file, and writes them as a file again.

Precedence: flag, environment, file, default; a list from one place replaces the list from another.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from backendify.option import quoted, shown
from backendify.registry import Registry, RegistryKind
from backendify.settings import OPTIONS, BadSettings, Option, Origin, Settings

# A record names its registry in one byte.
REGISTRIES_MAX: Final = 255
# Container engines kill 10 s after SIGTERM; a second is left for closing.
STOP_MS_MAX: Final = 9000
_CONFIG_BYTES_MAX: Final = 1 << 20
_INTEGER_MAX: Final = 1 << 63
_KEYS_OF_FILES: Final = tuple(option.key for option in OPTIONS if option.in_file)
_KNOWN_VARIABLES: Final = frozenset(name for option in OPTIONS for name in option.variables)
# Kubernetes tells every pod of a service "backendify…" by such variables, BACKENDIFY_PORT=tcp://… among them.
_SERVICE_LINK = re.compile(r"BACKENDIFY_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_\w+)")
_SERVICE_LINK_PORT = re.compile(r"(tcp|udp|sctp)://\S*")


def read(
    flags: Mapping[str, Sequence[str]], environment: Mapping[str, str], *, with_registries: bool = True
) -> Settings:
    """Put the configuration together; `flags` maps keys to the texts given, pairs under `registries`.

    Without registries (a command that brings its own) those of environment and file are left aside, headers
    too. :class:`BadSettings` for anything wrong.
    """
    variables = _variables(environment)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    file: Mapping[str, object] = {}
    # The file's name first: its own option cannot come from it.
    for option in sorted(OPTIONS, key=lambda option: option.key != "config"):
        if option.key in {"registries", "registry_header"} and not with_registries:
            continue
        variable = next((name for name in option.variables if variables.get(name)), None)
        if option.key in flags:
            name = "registry" if option.key == "registries" else option.flag
            origins[option.key], texts = "flag", flags[option.key]
        elif variable:
            name, text = variable, variables[variable]
            origins[option.key], texts = (
                "environment",
                option.kind.split(text) if option.takes_many else [text],
            )
        elif option.key in file:
            name = f"{option.key} in {shown(str(values['config']))}"
            origins[option.key], texts = "file", _texts_of_toml(option, file[option.key], name)
        else:
            continue
        values[option.field] = _parse(option, texts, name)
        if option.key == "config" and values["config"]:
            file = _read_file(values["config"], name)
    ignored = tuple(
        name for name in variables if name not in _KNOWN_VARIABLES and not _SERVICE_LINK.fullmatch(name)
    )
    settings = Settings(**values, origins=origins, ignored=ignored)
    _check_together(settings, with_registries=with_registries)
    return replace(settings, registries=tuple(_with_headers(settings)))


def to_toml(settings: Settings) -> str:
    """Write the configuration so that a file of it gives the same settings, but for the values of headers."""
    lines = ["# The effective configuration; --config reads it. Behind each value: where it is from."]
    for option in OPTIONS:
        if not option.in_file or option.key == "registries":
            continue
        value, origin = getattr(settings, option.field), settings.origins.get(option.key, "default")
        if option.takes_many:
            if value:
                lines.append(
                    "# The values of headers are hidden: write the real ones before you use this file."
                )
            text = "[" + ", ".join(option.kind.toml(item) for item in value) + "]"
        else:
            text = option.kind.toml(value)
        lines.append(f"{option.key} = {text}  # {origin}")
    lines += ["", f"[registries]  # {settings.origins.get('registries', 'default')}"]
    lines += [f"{registry.country} = {quoted(registry.url)}" for registry in settings.registries]
    return "\n".join(lines) + "\n"


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Take what concerns us, without what an orchestrator says of a service of our name."""
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith("BACKENDIFY_") or name in _KNOWN_VARIABLES)
        and not (name.endswith("_PORT") and _SERVICE_LINK_PORT.fullmatch(value))
    }


def _parse(option: Option, texts: Sequence[str], name: str) -> object:
    """Read an option's value; the last one counts where only one is taken."""
    values = []
    for text in texts:
        try:
            values.append(option.kind.parse(text))
        except ValueError as error:
            subject = "" if option.kind.secret else f"{shown(text)} "
            message = f"{name}: {subject}{error}; expected {option.kind.expected}"
            raise BadSettings(message) from None
    return tuple(values) if option.takes_many else values[-1]


def _read_file(path: Path, option: str) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415 - 8 ms that only a file needs

    name = f"{option}: {shown(str(path))}"
    try:
        with path.open("rb") as file:
            data = file.read(_CONFIG_BYTES_MAX + 1)
    except OSError as error:
        message = f"{name} cannot be read ({error.strerror}); expected a TOML file"
        raise BadSettings(message) from None
    if len(data) > _CONFIG_BYTES_MAX:
        message = f"{name} is over {_CONFIG_BYTES_MAX >> 20} MiB; expected a TOML file"
        raise BadSettings(message)
    try:
        content = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        message = f'{name} is not TOML ({reason}); expected lines such as deadline = "900ms"'
        raise BadSettings(message) from None
    for key in content:
        if key not in _KEYS_OF_FILES:
            raise BadSettings(_unknown(key, path))
    return content


def _unknown(key: str, path: Path) -> str:
    import difflib  # noqa: PLC0415 - only for this message

    near = difflib.get_close_matches(key.lower().replace("-", "_"), _KEYS_OF_FILES, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(_KEYS_OF_FILES)}"
    return f"{shown(key)} in {shown(str(path))}: no such key; {hint}"


def _texts_of_toml(option: Option, value: object, name: str) -> list[str]:
    """Bring a TOML value into the form that flags have."""
    items: list[object] = [value]
    if option.takes_many:
        if isinstance(value, dict) and option.key == "registries":
            if all(isinstance(url, str) for url in value.values()):
                return [f"{country}={url}" for country, url in value.items()]
        elif isinstance(value, list):
            items = value
        elif isinstance(value, str):
            return option.kind.split(value)
    texts = []
    for item in items:
        if isinstance(item, bool):
            texts.append(str(item).lower())
        elif isinstance(item, str) or (isinstance(item, int) and abs(item) < _INTEGER_MAX):
            texts.append(str(item))
        else:
            message = f"{name}: the value has the wrong type; expected {option.kind.expected}"
            raise BadSettings(message)
    return texts


def _check_together(settings: Settings, *, with_registries: bool) -> None:
    """Check what no option can check alone."""
    if settings.lame_duck_ms + settings.drain_ms > STOP_MS_MAX:
        message = "--lame-duck and --drain: together over 9s; expected at most 9s, engines kill after 10s"
        raise BadSettings(message)
    countries = [registry.country for registry in settings.registries]
    if with_registries and not countries:
        message = f"registry: none given; expected at least one {RegistryKind().expected}"
        raise BadSettings(message)
    if twice := next((country for country in countries if countries.count(country) > 1), None):
        message = f"registry: {twice} is given twice; expected one registry a country"
        raise BadSettings(message)
    if len(countries) > REGISTRIES_MAX:
        message = f"registry: {len(countries)} given; expected at most {REGISTRIES_MAX}"
        raise BadSettings(message)
    seen = set()
    for header in settings.registry_headers:
        if header.country not in countries:
            message = (
                f"--registry-header: {header.country} has no registry; expected one of {', '.join(countries)}"
            )
            raise BadSettings(message)
        if (header.country, header.name.lower()) in seen:
            message = (
                f"--registry-header: {header.name} for {header.country} is given twice; expected it once"
            )
            raise BadSettings(message)
        seen.add((header.country, header.name.lower()))


def _with_headers(settings: Settings) -> Iterable[Registry]:
    for registry in settings.registries:
        own = [header for header in settings.registry_headers if header.country == registry.country]
        yield replace(registry, headers=tuple((header.name, header.value) for header in own))
