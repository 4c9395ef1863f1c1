"""Render a leaderboard notebook as one page: no code, no scripts, no external resources."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

import mistune
from nbformat import NotebookNode

from tinytorch_compete.rendering.chart import COLOURS

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_markdown = mistune.create_markdown(escape=True)
DARK = {"ink": "#e4e6e9", "paper": "#17191c", "accent": "#6db5ec", "second": "#f0a066"}
DARK |= {"faint": "#41464c", "muted": "#a0a6ad"}
STYLE = """\
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0; overflow-wrap: break-word; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 0.6rem; }
p { max-width: 44rem; margin: 0.6rem 0; overflow-wrap: break-word; }
code { font: 0.92em ui-monospace, Menlo, Consolas, monospace;
  border-bottom: 1px solid var(--faint); }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: 0.94rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
caption span { display: block; max-width: calc(100vw - 2rem); }
th, td { padding: 0.28rem 0.9rem 0.28rem 0; text-align: left; vertical-align: top;
  white-space: nowrap; }
thead th { color: var(--muted); font-weight: 600; }
tbody th { font-weight: 500; }
th.phrase { white-space: normal; min-width: 10rem; }
@media (max-width: 40rem) {
  table { font-size: 0.87rem; }
  th, td { padding-right: 0.6rem; } }
tbody { border-top: 1px solid var(--faint) !important; }
figure { margin: 1rem 0; max-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 0.94rem; color: var(--muted); }
@media print {
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  th, td { white-space: normal; padding-right: 0.5rem; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } }
"""


def _variables(colours: Mapping[str, str]) -> str:
    return ":root { " + "; ".join(f"--{name}: {c}" for name, c in colours.items()) + " }"


def page(notebook: NotebookNode, title: str) -> str:
    """Render the text, tables and charts of an executed notebook as one HTML page.

    It needs no network and no scripts, follows the reader's light or dark theme, and is printable.
    """
    body = "\n".join(piece for cell in notebook.cells for piece in _pieces(cell))
    dark = f"@media screen and (prefers-color-scheme: dark) {{ {_variables(DARK)} }}"
    style = f"{_variables(COLOURS)}\n{dark}\n{STYLE}"
    return PAGE.format(title=html.escape(title), style=style, body=body)


def _pieces(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield str(_markdown(cell.source))
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield from (f"<p>{html.escape(line)}</p>" for line in output.text.splitlines())
        elif "image/svg+xml" in output.data:
            yield _figure(output.data["image/svg+xml"], output.data["text/plain"])
        elif "text/html" in output.data:
            yield _scrolling(output.data["text/html"])


def _figure(svg: str, finding: str) -> str:
    """Caption a chart with its finding, hidden from screen readers: the chart's label says it."""
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML implies them
    return (
        f'<figure>{svg}<figcaption aria-hidden="true">{html.escape(finding)}</figcaption></figure>'
    )


def _scrolling(table: str) -> str:
    """Wrap a table so that it scrolls on its own, by touch or keyboard, where it is too wide."""
    return f'<div class="scroll" role="region" aria-label="table" tabindex="0">{table}</div>'
