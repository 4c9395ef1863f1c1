"""Render a profile as HTML: a page without scripts, or a fragment for a notebook's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from tinytorch_compete.model import Profile, Reason
from tinytorch_compete.profiling import view
from tinytorch_compete.profiling.bottlenecks import TITLE, UNMEASURED
from tinytorch_compete.profiling.view import Row, Section

HOTTEST = 5  # lines in each list at the top
FACTS = (
    "Times include the functions that a line called. Peak is the most memory held while the line "
    "ran, above what was held when it began; net is what it left behind. ~ marks estimates for "
    "lines too fast to observe every time. A profiled run is slower than a plain one, and never "
    "counts for a ranking."
)
STYLE = """
.cp { --text: #1d2430; --dim: #5d6778; --line: #d9dee6; --back: #ffffff; --panel: #f5f7fa;
  --time: #c2570c; --mem: #1f6fb2; --bad: #b3261e; --heat: 194, 87, 12;
  color: var(--text); background: var(--back); font: 15px/1.45 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .cp { --text: #e3e8ef; --dim: #9aa6b8; --line: #333c49;
  --back: #14181e; --panel: #1c222b; --time: #f08a3c; --mem: #5aa9e6; --bad: #f2938c;
  --heat: 240, 138, 60; } }
.cp h1 { font-size: 1.5em; margin: 0 0 .2em; } .cp h2 { font-size: 1.05em; margin: 1.6em 0 .4em; }
.cp p { margin: .3em 0; max-width: 75ch; } .cp p.failed { color: var(--bad); }
.cp .dim { color: var(--dim); font-size: .87em; }
.cp .key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
.cp table { border-collapse: collapse; width: 100%; font-size: 13px; margin: 0;
  table-layout: fixed; background: none; }
.cp th, .cp td { border: 0; padding: 1px 8px; text-align: right; vertical-align: top;
  white-space: nowrap; font-variant-numeric: tabular-nums; background: none; color: inherit; }
.cp th { color: var(--dim); font-weight: 500; border-bottom: 1px solid var(--line); }
.cp .n { width: 3.2em; color: var(--dim); } .cp .h { width: 6.5em; }
.cp .t, .cp .p { width: 7.5em; } .cp .d { width: 5.5em; }
.cp .c { text-align: left; white-space: pre-wrap; overflow-wrap: anywhere;
  font-family: ui-monospace, Menlo, Consolas, monospace; }
.cp th.c { font-family: inherit; }
.cp .bar { display: block; height: 3px; border-radius: 2px; margin: 0 0 1px auto; }
.cp .t .bar { background: var(--time); } .cp .p .bar { background: var(--mem); }
.cp details { border-block: 1px dashed var(--line); margin: 2px 0; }
.cp summary { color: var(--dim); font-size: 12px; padding: 1px 8px; cursor: pointer; }
.cp svg { width: 100%; height: 110px; display: block; background: var(--panel); margin: .5em 0; }
.cp .pair { display: flex; flex-wrap: wrap; gap: 0 3em; }
.cp .pair div { flex: 1 1 22em; min-width: 0; } .cp .pair .dim { display: block; }
.cp .pair code { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.cp ol { margin: .3em 0; padding-left: 1.6em; } .cp li { margin: .15em 0; }
.cp code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em;
  overflow-wrap: anywhere; background: none; color: inherit; padding: 0; }
@media (max-width: 640px) { .cp .h, .cp .d { display: none; } .cp .n { width: 2.2em; }
  .cp .t, .cp .p { width: 5.2em; } .cp th, .cp td { padding: 1px 4px; } .cp table {
  font-size: 12px; } }
@media print { .cp { --text: #000; --dim: #444; --line: #bbb; --back: #fff; --panel: #fff;
  --time: #c2570c; --mem: #1f6fb2; --bad: #b3261e; --heat: 194, 87, 12; font-size: 11px; }
  .cp table { font-size: 9.5px; } .cp .bar, .cp .key, .cp tr {
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .cp tr { break-inside: avoid; } .cp h2 { break-after: avoid; } }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>{style}
html {{ background: #fff; }}
@media (prefers-color-scheme: dark) {{ html {{ background: #14181e; }} }}
@media print {{ html {{ background: #fff; }} }}
body {{ margin: 0 auto; max-width: 1200px; padding: 1.2em; }}</style></head>
<body class="cp"><h1>{title}</h1>{body}</body></html>
"""
HEAD = (
    '<tr><th class="n">line</th><th class="c">source</th><th class="h">hits</th>'
    '<th class="t">time</th><th class="p">peak MiB</th><th class="d">net MiB</th></tr>'
)


def page(profile: Profile, title: str, reasons: Sequence[Reason] | None) -> str:
    """Render a self-contained document for light, dark and narrow screens and for paper.

    ``reasons`` explain the hottest lines; ``None`` if the machine wasn't measured.
    """
    return PAGE.format(title=escape(title), style=STYLE, body=_body(profile, reasons))


def fragment(profile: Profile, reasons: Sequence[Reason] | None) -> str:
    """Render the same content for the output of a notebook's cell."""
    return f'<style>{STYLE}</style><div class="cp">{_body(profile, reasons)}</div>'


def _body(profile: Profile, reasons: Sequence[Reason] | None) -> str:
    shown = [_section(section) for section in view.sections(profile)]
    if not profile.lines:
        return "\n".join([f"<p>{view.NONE_RAN}</p>", *shown])
    total = view.whole(profile)
    parts = [
        f"<p><b>{view.seconds(total.seconds)}</b> in all cells, highest peak "
        f"<b>{view.mib(total.peak_mib) or '0'} MiB</b>. "
        '<span class="dim"><span class="key" style="background:var(--time)"></span> time '
        '<span class="key" style="background:var(--mem)"></span> memory</span></p>',
        _hottest(profile),
        _reasons(reasons),
        _timeline(profile),
        *shown,
        f'<p class="dim">{FACTS} {view.untimed(profile)} '
        f"Measured by {escape(' and '.join(profile.backends))}.</p>",
    ]
    return "\n".join(parts)


def _hottest(profile: Profile) -> str:
    """Render the hottest lines as two lists side by side, by time and by memory."""
    lists = [
        _list("Most time", view.by_time(profile, HOTTEST), _time),
        _list("Most memory", view.by_memory(profile, HOTTEST), _memory),
    ]
    return f'<div class="pair">{"".join(lists)}</div>'


def _list(title: str, rows: Sequence[tuple[str, Row]], figures: Callable[[Row], str]) -> str:
    items = "".join(
        f'<li><code>{escape(row.text.strip())}</code> <span class="dim">'
        f"{escape(view.title(source))}, line {row.number}: {figures(row)}</span></li>"
        for source, row in rows
    )
    return f"<div><h2>{title}</h2><ol>{items}</ol></div>" if items else ""


def _reasons(reasons: Sequence[Reason] | None) -> str:
    if reasons is None:
        return f'<p class="dim">{UNMEASURED}</p>'
    items = "".join(
        f"<li><b>{reason.kind}</b>: {escape(view.title(reason.source))}, line {reason.line}. "
        f'<span class="dim">{escape(reason.words)}</span></li>'
        for reason in reasons
    )
    return f"<h2>{TITLE}</h2><ol>{items}</ol>" if items else ""


def _time(row: Row) -> str:
    assert row.cost is not None
    return f"{view.seconds(row.cost.seconds) or '0 s'}, {row.time:.0%} of the total"


def _memory(row: Row) -> str:
    assert row.cost is not None
    net = view.mib(row.cost.net_mib, sign=True)
    left = f", net {net} MiB" if net else ""
    return f"peak {view.mib(row.cost.peak_mib) or '0'} MiB{left}"


def _timeline(profile: Profile) -> str:
    if len(profile.timeline) < 2:
        return ""
    end = profile.timeline[-1][0] or 1.0
    top = max(mib for _, mib in profile.timeline) or 1.0
    points = " ".join(
        f"{at / end * 1000:.1f},{98 - mib / top * 90:.1f}" for at, mib in _thin(profile)
    )
    return (
        f"<h2>Memory over the run</h2>"
        f'<p class="dim">The whole process tree, sampled from outside up to 50 times a second: '
        f"at most {view.mib(top) or '0'} MiB, {view.seconds(end)}.</p>"
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" '
        f'aria-label="memory over the run"><polygon points="0,98 {points} 1000,98" '
        f'style="fill:var(--mem);fill-opacity:.25;stroke:none"/><polyline points="{points}" '
        f'style="fill:none;stroke:var(--mem);stroke-width:1.5;vector-effect:non-scaling-stroke"/>'
        f"</svg>"
    )


def _thin(profile: Profile) -> list[tuple[float, float]]:
    """Reduce the timeline to at most 1000 points, the highest of each stretch."""
    step = -(-len(profile.timeline) // 1000)
    parts = [profile.timeline[i : i + step] for i in range(0, len(profile.timeline), step)]
    return [max(part, key=lambda point: point[1]) for part in parts]


def _section(section: Section) -> str:
    head = f"<h2>{escape(section.title)}"
    if section.cell is not None:
        head += f' <span class="dim">{view.about(section.cell)}</span></h2>'
        if section.cell.failure:
            head += f'<p class="failed">{escape(section.cell.failure)}</p>'
    else:
        head += "</h2>"
    if not section.parts:  # a grading cell, of which only the total is known
        return head
    body, rows = "", [HEAD]
    for part in section.parts:
        if isinstance(part, Row):
            rows.append(_line(part))
        else:
            body += _table(rows) + (
                f"<details><summary>{view.fold(part)}</summary>"
                f"{_table([_line(row) for row in part])}</details>"
            )
            rows = []
    return head + body + _table(rows)


def _table(rows: list[str]) -> str:
    columns = "".join(f'<col class="{name}">' for name in "ncht") + '<col class="p"><col class="d">'
    return f"<table><colgroup>{columns}</colgroup>{''.join(rows)}</table>" if rows else ""


def _line(row: Row) -> str:
    cost = row.cost
    figures = ("", "", "", "")
    if cost is not None:
        figures = (
            view.hits(cost),
            view.seconds(cost.seconds),
            view.mib(cost.peak_mib),
            view.mib(cost.net_mib, sign=True),
        )
    hits, seconds, peak, net = figures
    heat = (
        f' style="background:rgba(var(--heat),{row.heat * 0.22:.3f})"'
        if row.heat >= view.HOT
        else ""
    )
    return (
        f'<tr{heat}><td class="n">{row.number}</td><td class="c">{escape(row.text) or " "}</td>'
        f'<td class="h">{hits}</td><td class="t">{seconds}{_bar(row.time)}</td>'
        f'<td class="p">{peak}{_bar(row.memory)}</td><td class="d">{net}</td></tr>'
    )


def _bar(share: float) -> str:
    return f'<span class="bar" style="width:{share:.0%}"></span>' if share >= 0.01 else ""
