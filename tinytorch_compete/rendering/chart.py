"""Charts that are legible on light and dark pages, in notebooks, and to screen readers."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable
from typing import Any

import msgspec
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The palette. On a page that defines these CSS variables the colours follow its theme; elsewhere
# the picture is a light card. All contrasts against the paper are 4.5 or more (WCAG 2.2, 1.4.3),
# except for the faint lines, which carry no information that the words don't.
COLOURS = {"ink": "#26282b", "paper": "#fdfdfc", "accent": "#0a5f9e", "second": "#a8480c"}
COLOURS |= {"faint": "#c9cdd2", "muted": "#62676d"}
SIZE_INCHES = (4.4, 3.4)  # small enough for legible letters at a width of 328 pixels
STYLE: Any = {  # the type of its keys differs between versions of matplotlib
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": COLOURS["paper"],
    "figure.facecolor": COLOURS["paper"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": COLOURS["faint"],
    "grid.linewidth": 0.6,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "date.converter": "concise",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


class Picture(msgspec.Struct, frozen=True):
    """A picture as SVG and as PNG (base64), and its finding in words."""

    svg: str
    png: str
    alt: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "image/png": self.png, "text/plain": self.alt}


def drawn(draw: Callable[[Axes], str], title: str, across: str, up: str) -> Picture:
    """Return a picture with a title and axis labels; ``draw`` fills it and returns its alt text."""
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        axes.set_title(title, loc="left")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        alt = draw(axes)
    buffer, raster = io.StringIO(), io.BytesIO()
    stable: Any = {**STYLE, "svg.hashsalt": alt}
    with rc_context(stable):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(raster, format="png", dpi=110)
    return Picture(
        themed(buffer.getvalue(), alt), base64.b64encode(raster.getvalue()).decode(), alt
    )


def themed(svg: str, alt: str) -> str:
    """Return matplotlib's SVG with colours as CSS variables and without links to elsewhere."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # ids would collide between pictures on one page
    svg = svg.replace("'DejaVu Sans'", "system-ui, sans-serif")
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    label = html.escape(alt)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).rstrip()
