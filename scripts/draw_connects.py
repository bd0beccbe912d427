"""Draws docs/connects.svg from the line that `make bench ARGS="fleet --dispensers 10000"` prints, given on stdin.

One bar for each second from the kill of the broker on: the CONNECTs that dispensers sent in it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docs" / "connects.svg"

_WIDTH, _HEIGHT = 640, 220
_LEFT, _TOP, _BOTTOM = 48, 28, 36
_STEP = 500  # CONNECTs between two lines of the grid
_EVERY_S = 5  # seconds between two labels


def draw(connects: Sequence[int], title: str) -> str:
    """The picture, as text."""
    top = max(_STEP, -(-max(connects) // _STEP) * _STEP)
    tall = _HEIGHT - _TOP - _BOTTOM
    wide = (_WIDTH - _LEFT - 8) / len(connects)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="11" fill="#555" role="img">',
        f"<title>{title}</title>",
        f'<text x="{_LEFT}" y="16">{title}</text>',
    ]
    for mark in range(0, top + 1, _STEP):
        y = _TOP + tall - tall * mark / top
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - 8}" stroke="#ccc" stroke-width="0.5"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:,}</text>')
    for second, count in enumerate(connects):
        high = tall * count / top
        x = _LEFT + second * wide
        parts.append(
            f'<rect x="{x:.1f}" y="{_TOP + tall - high:.1f}" width="{wide * 0.8:.1f}" height="{high:.1f}" '
            'fill="#2b7a9b"/>'
        )
        if second % _EVERY_S == 0:
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 20}">{second} s</text>')
    parts.append(f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end">since the broker was killed</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Reads the figures, writes the picture."""
    found = json.loads(sys.stdin.read().splitlines()[-1])
    title = f"CONNECTs a second of {found['dispensers']:,} dispensers"
    TARGET.write_text(draw(found["connects_per_s"], title))


if __name__ == "__main__":
    main()
