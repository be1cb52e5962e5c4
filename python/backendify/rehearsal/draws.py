"""Numbers drawn from a name: the same each time, on every machine, in whatever order the names come."""

from hashlib import blake2b
from typing import Final

BITS: Final = 512  # of one name: the product of all bounds drawn from it stays far below 2 ** BITS


class Draws:
    """Numbers in a row, made from `name`; rows of another `purpose` (at most 64 bytes) differ."""

    __slots__ = ("_left",)

    def __init__(self, purpose: str, name: str) -> None:
        digest = blake2b(name.encode(), digest_size=BITS // 8, key=purpose.encode()).digest()
        self._left = int.from_bytes(digest, "big")

    def below(self, bound: int) -> int:
        """Draw a whole number of 0 to `bound` - 1, each equally likely."""
        self._left, drawn = divmod(self._left, bound)
        return drawn

    def share(self) -> float:
        """Draw a number above 0 and below 1, evenly."""
        return (self.below(2**52) + 0.5) / 2**52
