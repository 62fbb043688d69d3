"""Ten-minute blocks of lines, keyed by minute: the content of server.txt."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.contract.messages import Channel

Channels = tuple[Channel, ...]
MAX_OPEN_LINES, MAX_OPEN_BLOCKS = 100_000, 2016
"""Limits on open blocks: lines (a week of ten sensors, one of them a week behind) and blocks (two weeks)."""


@dataclass
class BlockBuffer:
    """Open blocks. A block's key is that of its minutes without the last digit: 2026-11-23T23:0 covers :00 to :09."""

    lines: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    """Block to (minute, sensor) to line."""
    repeated: dict[str, dict[tuple[str, str], Channels]] = field(default_factory=dict)
    """Block to (minute, sensor) to the channels whose values repeat an earlier reading."""
    last_closed: str = ""
    """Newest closed block; it and older blocks accept no more lines."""

    def add(self, minute: str, sensor: str, line: str, repeated: Channels = ()) -> None:
        """Add a line, unless its block is closed."""
        block = block_of(minute)
        if block > self.last_closed:
            self.lines.setdefault(block, {})[minute, sensor] = line
            self.repeated.setdefault(block, {}).pop((minute, sensor), None)
            if repeated:
                self.repeated[block][minute, sensor] = repeated

    def repeated_channels(self, minute: str, sensor: str) -> Channels:
        """Return the channels whose values in a line of an open block repeat an earlier reading."""
        return self.repeated.get(block_of(minute), {}).get((minute, sensor), ())

    def repeats_text(self, block: str) -> str:
        """Return minute, sensor and repeated channels of each line of a block that has some."""
        repeated = sorted(self.repeated.get(block, {}).items())
        return "".join(f"{minute} {sensor} {' '.join(channels)}\n" for (minute, sensor), channels in repeated)

    def drop_after(self, minute: str, sensor: str) -> None:
        """Drop the lines of a sensor after a minute: its clock was set back to it."""
        for block in [block for block in self.lines if block >= block_of(minute)]:
            lines = self.lines[block]
            self.lines[block] = {key: lines[key] for key in lines if key[1] != sensor or key[0] <= minute}
            if not self.lines[block]:
                del self.lines[block]

    def is_missing(self, minute: str, sensor: str) -> bool:
        """Whether a minute of an open block has no line of a sensor yet."""
        block = block_of(minute)
        return block > self.last_closed and (minute, sensor) not in self.lines.get(block, {})

    def line(self, minute: str, sensor: str) -> str:
        """Return the line of a minute in an open block; empty if there is none."""
        return self.lines.get(block_of(minute), {}).get((minute, sensor), "")

    def open_before(self, block: str) -> list[str]:
        """Return the open blocks before a block, oldest first."""
        return sorted(open_block for open_block in self.lines if open_block < block)

    def complete_blocks(self, sensors: int) -> list[str]:
        """Return the blocks with ten lines of each sensor, and all open blocks before them, oldest first."""
        complete = [block for block, lines in self.lines.items() if len(lines) >= 10 * sensors]
        excess_lines, excess_blocks = (
            sum(map(len, self.lines.values())) - MAX_OPEN_LINES,
            len(self.lines) - MAX_OPEN_BLOCKS,
        )
        for block in sorted(self.lines) if self.is_full else ():
            if excess_lines > 0 or excess_blocks > 0:
                complete.append(block)
                excess_lines, excess_blocks = excess_lines - len(self.lines[block]), excess_blocks - 1
        return self.open_before(max(complete) + "~") if complete else []

    @property
    def is_full(self) -> bool:
        """Whether there are too many open blocks to wait: the oldest are closed as they are."""
        return len(self.lines) > MAX_OPEN_BLOCKS or sum(map(len, self.lines.values())) > MAX_OPEN_LINES

    def close_block(self, block: str) -> str:
        """Close a block and return its text. It and older blocks accept no more lines."""
        text = self.text(block)
        del self.lines[block]
        self.repeated.pop(block, None)
        self.last_closed = block
        return text

    def text(self, block: str) -> str:
        """Return the lines of a block in order of minute and sensor."""
        lines = self.lines[block]
        return "".join(f"{lines[key]}\n" for key in sorted(lines))


def block_of(minute: str) -> str:
    """Return the block of a minute key, YYYY-MM-DDTHH:MM."""
    return minute[:15]


def minutes_of(block: str) -> list[str]:
    """Return the ten minute keys of a block."""
    return [f"{block}{digit}" for digit in range(10)]
