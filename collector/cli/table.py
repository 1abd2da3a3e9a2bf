"""Tables that fit the terminal: the least important columns give way first, and a line says which did."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2  # one of padding, one of the box's own
MIN_TEXT_WIDTH = 28
PIPE_WIDTH = 200
"""Columns of output that nobody reads in a window: wide enough that nothing is dropped or cut."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: cells of all rows, then of the rows below the rule. The lower `rank`, the later it gives way."""

    title: str
    cells: Sequence[str]
    footer: Sequence[str] = ()
    rank: int = 0
    left: bool = False  # text: left-aligned, and cut when space is short, but not below `least`
    least: int = MIN_TEXT_WIDTH

    @property
    def width(self) -> int:
        return max(cell_len(cell) for cell in (self.title, *self.cells, *self.footer))

    @property
    def least_width(self) -> int:
        return min(self.width, self.least) if self.left else self.width

    @property
    def says_something(self) -> bool:
        """Whether any cell holds more than a dash; rank 0 always counts."""
        return self.rank == 0 or any(cell.strip("-") for cell in (*self.cells, *self.footer))


def console(*, stderr: bool = False) -> Console:
    """Where people read: the terminal's width, or a wide page when piped. No colours when piped."""
    probe = Console(stderr=stderr, highlight=False)
    if probe.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return probe
    return Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def printable(text: str) -> str:
    """Text from a span without what a terminal would obey: control characters and direction overrides."""
    return _CONTROL.sub("�", text)


def print_table(out: Console, columns: Sequence[Column]) -> None:
    """Print what fits; when columns gave way, say which."""
    told = [column for column in columns if column.says_something]
    shown = _fit(told, out.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)
    for column, width in zip(shown, _widths(shown, out.width), strict=True):
        justify: Literal["left", "right"] = "left" if column.left else "right"
        table.add_column(Text(column.title), justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for line in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*(Text(cell) for cell in line))
    if shown[0].footer:
        table.add_section()
        for line in zip(*(column.footer for column in shown), strict=True):
            table.add_row(*(Text(cell, style="bold") for cell in line))
    out.print(table)
    hidden = [column.title for column in told if column not in shown]
    if hidden:
        out.print(Text(f"not shown at this width: {', '.join(hidden)}", style="dim"))


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """Every column as wide as it needs; what is missing is taken from the text columns, the widest first."""
    widths = [column.width for column in columns]
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0:
        cuttable = [i for i, column in enumerate(columns) if column.left and widths[i] > column.least_width]
        if not cuttable:
            break
        widths[max(cuttable, key=lambda i: widths[i])] -= 1
        excess -= 1
    return widths


def _fit(columns: Sequence[Column], width: int) -> list[Column]:
    """Drop columns by rank, highest first, until the rest fits."""
    shown = list(columns)
    while sum(column.least_width + GAP for column in shown) - GAP > width:
        giving_way = max(shown, key=lambda column: column.rank)
        if giving_way.rank == 0:
            break
        shown.remove(giving_way)
    return shown
