"""The kinds of option values: how a text becomes a value, and how the value is written again.

`parse` raises :class:`ValueError` with a predicate ("has no unit"): who calls it puts the option's name and
the text before it and `expected` behind it.
"""

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound=str)

# The largest unit first, as `write` tries them; days last, for a day is told as 24h.
_MS_OF = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1, "d": 86_400_000}
_BYTES_OF = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "": 1}
# No bound is near 15 digits: more of them are refused before they are read as a number.
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_COUNT = re.compile(r"[0-9]{1,15}")
# Neither a file system nor a TOML file takes these; surrogates stand for bytes that are not UTF-8.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_SHOWN_CHARS_MAX = 80


def shown(text: str) -> str:
    """Quote a text of a user's for a message: one line, printable, cut after 80 characters."""
    return repr(text if len(text) <= _SHOWN_CHARS_MAX else f"{text[: _SHOWN_CHARS_MAX - 1]}…")


def quoted(text: str) -> str:
    """Write a text as a TOML basic string (TOML 1.0, String), in ASCII: it fits any terminal."""
    return '"' + re.sub(r'[^ -~]|["\\]', lambda match: f"\\U{ord(match[0]):08x}", text) + '"'


class Kind(ABC, Generic[T]):
    """What a value may be."""

    metavar: str
    """What stands for a value in `--help`."""
    expected: str
    """What a right value looks like, in words."""
    secret: bool = False
    """Whether the text may hold secrets: messages do not repeat it, and `parse` raises whole sentences."""

    @abstractmethod
    def parse(self, text: str) -> T:
        """Read a value; :class:`ValueError` says what is wrong with it."""

    def write(self, value: T) -> str:
        """Write a value so that `parse` gives it back."""
        return str(value)

    def toml(self, value: T) -> str:
        """Write a value as TOML."""
        return quoted(self.write(value))

    def split(self, text: str) -> list[str]:
        """Take an environment variable that holds several values apart: one a line."""
        return [line.strip() for line in text.split("\n") if line.strip()]


class Maybe(Kind[T | None]):
    """A value, or the word that stands for having none (`auto`, `off`)."""

    def __init__(self, kind: Kind[T], *, none: str) -> None:
        self._kind = kind
        self._none = none
        self.metavar = f"{kind.metavar}|{none}"
        self.expected = f"{kind.expected}, or {none}"

    def parse(self, text: str) -> T | None:
        """Read a value, or `None`."""
        return None if text == self._none else self._kind.parse(text)

    def write(self, value: T | None) -> str:
        """Write a value, or the word for none."""
        return self._none if value is None else self._kind.write(value)


class _Amount(Kind[int]):
    """A whole number with a unit, between two bounds that are written the same way."""

    _unit_of: dict[str, int]

    def __init__(self, least: str, most: str) -> None:
        self._least, self._most = least, most
        self._low, self._high = self._read(least), self._read(most)

    @abstractmethod
    def _read(self, text: str) -> int:
        """Read a number with its unit, without looking at the bounds."""

    def parse(self, text: str) -> int:
        """Read an amount within the bounds."""
        value = self._read(text)
        if value < self._low:
            message = f"is under {self._least}"
            raise ValueError(message)
        if value > self._high:
            message = f"is over {self._most}"
            raise ValueError(message)
        return value

    def write(self, value: int) -> str:
        """Write an amount in the first unit that leaves it whole."""
        unit, factor = next(item for item in self._unit_of.items() if value % item[1] == 0)
        return f"{value // factor}{unit}"


class Duration(_Amount):
    """Milliseconds, as `900ms`, `10s`, `5m`, `24h`, `30d`; where the least is 0, also `0` and `off`."""

    metavar = "DURATION"
    _unit_of = _MS_OF

    def __init__(self, least: str, most: str) -> None:
        super().__init__(least, most)
        off = " or off" if self._low == 0 else ""
        self.expected = f"a duration from {least} to {most}{off}: a whole number and ms, s, m, h or d"

    def write(self, value: int) -> str:
        """Write a duration; none at all as `0s`."""
        return super().write(value) if value else "0s"

    def _read(self, text: str) -> int:
        if text == "0" or (text == "off" and self._low == 0):
            return 0
        if _COUNT.fullmatch(text):
            message = "has no unit"
            raise ValueError(message)
        if not (match := _DURATION.fullmatch(text)):
            message = "is not a duration"
            raise ValueError(message)
        return int(match[1]) * _MS_OF[match[2]]


class Size(_Amount):
    """Bytes, as `64M` or `1G`, in powers of 1024, the unit in either case; a plain number is bytes."""

    metavar = "SIZE"
    _unit_of = _BYTES_OF

    def __init__(self, least: str, most: str) -> None:
        super().__init__(least, most)
        self.expected = f"a size from {least} to {most}: a whole number and K, M, G or T"

    def _read(self, text: str) -> int:
        if not (match := _SIZE.fullmatch(text.upper())):
            message = "is not a size"
            raise ValueError(message)
        return int(match[1]) * _BYTES_OF[match[2]]


class Count(Kind[int]):
    """A whole number between two bounds."""

    metavar = "NUMBER"

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most
        self.expected = f"a whole number from {least} to {most}"

    def parse(self, text: str) -> int:
        """Read a number within the bounds."""
        if not _COUNT.fullmatch(text):
            message = "is not a whole number"
            raise ValueError(message)
        if not self._least <= (value := int(text)) <= self._most:
            message = "is out of range"
            raise ValueError(message)
        return value

    def toml(self, value: int) -> str:
        """Write a number as TOML."""
        return str(value)


class Choice(Kind[S]):
    """One of a few words."""

    def __init__(self, words: tuple[S, ...]) -> None:
        self._words = words
        self.metavar = "|".join(words)
        self.expected = " or ".join(words)

    def parse(self, text: str) -> S:
        """Read one of the words."""
        for word in self._words:
            if word == text:
                return word
        message = "is not one of the words"
        raise ValueError(message)


class Switch(Kind[bool]):
    """On or off."""

    metavar = "on|off"
    _words = {"on": True, "true": True, "yes": True, "1": True} | dict.fromkeys(
        ("off", "false", "no", "0"), False
    )
    expected = "on or off"

    def parse(self, text: str) -> bool:
        """Read a switch; `true`, `yes`, `1` and their opposites do too."""
        try:
            return self._words[text.lower()]
        except KeyError:
            message = "is neither on nor off"
            raise ValueError(message) from None

    def write(self, value: bool) -> str:  # noqa: FBT001 - the value is what is written
        """Write `on` or `off`."""
        return "on" if value else "off"

    def toml(self, value: bool) -> str:  # noqa: FBT001 - the value is what is written
        """Write a switch as TOML."""
        return "true" if value else "false"


class Raw(Kind[str]):
    """Any text: who uses it judges it. What is not UTF-8 is kept as escapes, so that it can be printed."""

    metavar = "HOST:PORT"
    expected = "HOST:PORT"

    def parse(self, text: str) -> str:
        """Take the text as it is."""
        return text.encode("utf-8", "backslashreplace").decode()


class File(Kind[Path]):
    """A file; whether it can be read shows when it is."""

    metavar = "FILE"
    expected = "the name of a file"

    def parse(self, text: str) -> Path:
        """Take the name."""
        if not text or _UNWRITABLE.search(text):
            message = "is no file name"
            raise ValueError(message)
        return Path(text)


class AuthorityFile(File):
    """A file of certificate authorities, loaded once for trial."""

    expected = "a readable file with certificates in PEM form"

    def parse(self, text: str) -> Path:
        """Read the name and try the file."""
        import ssl  # noqa: PLC0415 - 10 ms that only this option needs

        path = super().parse(text)
        try:
            if not path.is_file():
                message = "is no file" if path.exists() else "does not exist"
                raise ValueError(message)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            message = "holds no certificate"
            raise ValueError(message) from None
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            raise ValueError(message) from None
        return path
