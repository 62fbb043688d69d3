"""Ten minutes of lines, by the text of their minutes: what server.txt is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_LINES = 100_000
"""In open blocks: beyond, the oldest block goes as it is. A week of ten sensors, of which one is a week behind."""


@dataclass
class Blocks:
    """Open blocks. A block is named by its minutes without the last digit: 2026-11-23T23:0 holds :00 … :09."""

    lines: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    """block to (minute, sensor) to line."""
    sent: str = ""
    """Newest block that is complete; it and older ones take no more lines."""

    def put(self, minute: str, sensor: str, line: str) -> None:
        """Takes a line, unless its block has been sent."""
        block = block_of(minute)
        if block > self.sent:
            self.lines.setdefault(block, {})[minute, sensor] = line

    def lacks(self, minute: str, sensor: str) -> bool:
        """Whether a minute of an unsent block has no line of a sensor yet."""
        block = block_of(minute)
        return block > self.sent and (minute, sensor) not in self.lines.get(block, {})

    def before(self, block: str) -> list[str]:
        """Open blocks older than a block, oldest first."""
        return sorted(one for one in self.lines if one < block)

    def complete(self, sensors: int) -> Iterator[tuple[str, str]]:
        """Takes out the blocks in which each sensor has its ten lines, oldest first, with their texts.

        A block that is still open behind a complete one goes too: nothing may come after its successor.
        """
        full = [block for block, lines in self.lines.items() if len(lines) >= 10 * sensors]
        over = sum(map(len, self.lines.values())) - MOST_LINES
        for block in sorted(self.lines) if over > 0 else ():
            if over > 0:
                full.append(block)
                over -= len(self.lines[block])
        for block in self.before(max(full) + "~") if full else []:
            yield block, self.text(block)
            del self.lines[block]
            self.sent = block

    def text(self, block: str) -> str:
        """The lines of a block in order of minute and sensor."""
        lines = self.lines[block]
        return "".join(f"{lines[key]}\n" for key in sorted(lines))


def block_of(minute: str) -> str:
    """The block that a minute, YYYY-MM-DDTHH:MM, belongs to."""
    return minute[:15]
