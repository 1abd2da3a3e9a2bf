"""A small picture of what something cost, for a README or a wiki page."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from html import escape

from starlette.requests import Request
from starlette.responses import Response

from collector.questions import spend as spends
from collector.questions.measures import Measures
from collector.serve.api.parameters import Parameter, Unreadable
from collector.serve.api.path import Path, Returns
from collector.serve.api.viewing import Asked, Question, Viewer

SVG = "image/svg+xml"
MAX_LABEL_CHARS = 40
CHAR_PX = 6.6
"""Width of a character of Verdana at 11 px, on the safe side: text is fitted into the width that was counted for it."""
HEIGHT_PX, PAD_PX = 20, 7
CACHE_SECONDS = 60


def _label(said: str) -> str:
    if len(said) > MAX_LABEL_CHARS:
        raise Unreadable("is too long", f"at most {MAX_LABEL_CHARS} characters")
    return "".join(char if char.isprintable() else "?" for char in said) or DEFAULT_LABEL


DEFAULT_LABEL = "AI cost"
LABEL = Parameter(
    "label", "What the left half says", {"type": "string", "maxLength": MAX_LABEL_CHARS}, DEFAULT_LABEL, _label
)


@dataclass(frozen=True, slots=True)
class _Half:
    text: str
    color: str

    @property
    def width_px(self) -> float:
        return round(len(self.text) * CHAR_PX + 2 * PAD_PX, 1)


def badge_path(viewer: Viewer) -> Path:
    """`GET /badge.svg`: total and tokens of the selection."""

    async def answered(_: Request, asked: Asked) -> Response:
        found: spends.Spend = (await viewer.answer(Question(spends.spend, (asked.selection,)))).value
        headers = {
            "Cache-Control": f"private, max-age={CACHE_SECONDS}",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(drawn(asked[LABEL], said(found.total)), media_type=SVG, headers=headers)

    path = viewer.route_of("/badge.svg", "total and tokens as a picture", answered, Returns(None, SVG), (LABEL,))
    return path._replace(at_root=True)


def said(total: Measures) -> str:
    """`$12.34 · 1.2M tokens`; that some calls have no price is said, too."""
    parts = [f"{'≥ ' if total.unpriced_calls else ''}{usd(total.cost_usd)}"]
    tokens = [count for count in (total.input_tokens, total.output_tokens) if count is not None]
    if tokens:
        parts.append(f"{short(sum(tokens))} tokens")
    if total.unpriced_calls:
        parts.append(f"{short(total.unpriced_calls)} unpriced")
    return " · ".join(parts)


def usd(amount: Decimal) -> str:
    """Cents; of less than a cent two digits of what it is."""
    if not amount:
        return "$0"
    if abs(amount) >= Decimal("0.01"):
        return f"${amount:,.2f}"
    return f"${amount:.{1 - amount.adjusted()}f}"


def short(count: int) -> str:
    """`999`, `1.2k`, `3.4M`."""
    for size, unit in ((1, ""), (10**3, "k"), (10**6, "M"), (10**9, "G")):
        if count < size * 1000:
            return f"{count}" if size == 1 else f"{Decimal(count) / size:.1f}{unit}"
    return f"{Decimal(count) / 10**12:,.1f}T"


def drawn(label: str, value: str) -> str:
    """The picture. It needs no script, no font and no other file."""
    left, right = _Half(label, "#444"), _Half(value, "#1769aa")
    width_px = left.width_px + right.width_px
    title = escape(f"{label}: {value}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px:g}" height="{HEIGHT_PX}" role="img" '
        f'aria-label="{title}"><title>{title}</title>',
        f'<clipPath id="r"><rect width="{width_px:g}" height="{HEIGHT_PX}" rx="3"/></clipPath><g clip-path="url(#r)">',
    ]
    x_px = 0.0
    for half in (left, right):
        parts.append(f'<rect x="{x_px:g}" width="{half.width_px:g}" height="{HEIGHT_PX}" fill="{half.color}"/>')
        x_px += half.width_px
    parts.append('</g><g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">')
    x_px = 0.0
    for half in (left, right):
        parts.append(
            f'<text x="{x_px + half.width_px / 2:g}" y="14" textLength="{half.width_px - 2 * PAD_PX:g}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(half.text)}</text>'
        )
        x_px += half.width_px
    return "".join([*parts, "</g></svg>"])
