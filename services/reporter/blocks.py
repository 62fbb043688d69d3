"""Ten minutes of lines, by the text of their minutes: what server.txt is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_OPEN_LINES, MAX_OPEN_BLOCKS = 100_000, 2016
"""In open blocks, and these: a week of ten sensors, of which one is a week behind; two weeks."""


@dataclass
class BlockBuffer:
    """Open blocks. A block is named by its minutes without the last digit: 2026-11-23T23:0 holds :00 … :09."""

    lines: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    """block to (minute, sensor) to line."""
    last_closed: str = ""
    """Newest block that is complete; it and older ones take no more lines."""

    def add(self, minute: str, sensor: str, line: str) -> None:
        """Takes a line, unless its block has been sent."""
        block = block_of(minute)
        if block > self.last_closed:
            self.lines.setdefault(block, {})[minute, sensor] = line

    def is_missing(self, minute: str, sensor: str) -> bool:
        """Whether a minute of an unsent block has no line of a sensor yet."""
        block = block_of(minute)
        return block > self.last_closed and (minute, sensor) not in self.lines.get(block, {})

    def line(self, minute: str, sensor: str) -> str:
        """The line of a minute of an open block; empty when there is none."""
        return self.lines.get(block_of(minute), {}).get((minute, sensor), "")

    def open_before(self, block: str) -> list[str]:
        """Open blocks older than a block, oldest first."""
        return sorted(one for one in self.lines if one < block)

    def complete_blocks(self, sensors: int) -> list[str]:
        """Blocks in which each sensor has its ten lines, and those still open behind one, oldest first."""
        full = [block for block, lines in self.lines.items() if len(lines) >= 10 * sensors]
        over, blocks = sum(map(len, self.lines.values())) - MAX_OPEN_LINES, len(self.lines) - MAX_OPEN_BLOCKS
        for block in sorted(self.lines) if self.is_full else ():
            if over > 0 or blocks > 0:
                full.append(block)
                over, blocks = over - len(self.lines[block]), blocks - 1
        return self.open_before(max(full) + "~") if full else []

    @property
    def is_full(self) -> bool:
        """Whether there are more open blocks than can be waited for: the oldest go as they are."""
        return len(self.lines) > MAX_OPEN_BLOCKS or sum(map(len, self.lines.values())) > MAX_OPEN_LINES

    def close_block(self, block: str) -> str:
        """Takes out a block: its text. Nothing comes into it or older ones any more."""
        text = self.text(block)
        del self.lines[block]
        self.last_closed = block
        return text

    def text(self, block: str) -> str:
        """The lines of a block in order of minute and sensor."""
        lines = self.lines[block]
        return "".join(f"{lines[key]}\n" for key in sorted(lines))


def block_of(minute: str) -> str:
    """The block that the place of a minute, YYYY-MM-DDTHH:MM, belongs to."""
    return minute[:15]


def minutes_of(block: str) -> list[str]:
    """The ten minutes of a block."""
    return [f"{block}{digit}" for digit in range(10)]
