"""Answers to a student, shown alike in a terminal and a notebook."""

from __future__ import annotations

import html

import msgspec

from tinytorch_compete.rendering.column import Column


class Panel(msgspec.Struct, frozen=True):
    """An answer: a title, a table, sentences below it, and a text in Markdown from a pack."""

    title: str = ""
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    markdown: str = ""


# Lab's colours, then VS Code's, then inherited ones: readable on light and on dark. No style sheet,
# for a page may hold many panels, and an untrusted notebook strips it.
TEXT = "color:var(--jp-content-font-color1,var(--vscode-editor-foreground,inherit))"
DIM = "color:var(--jp-content-font-color2,var(--vscode-descriptionForeground,inherit))"
LINE = "1px solid var(--jp-border-color2,var(--vscode-panel-border,rgba(128,128,128,.4)))"
ERROR = "var(--jp-error-color1,var(--vscode-errorForeground,#c62828))"


def as_html(panel: Panel) -> str:
    """Render a panel, without its Markdown, as HTML without scripts and with all text escaped."""
    parts = [f"<div><strong>{_text(panel.title)}</strong></div>"] if panel.title else []
    if panel.rows:
        parts += [_table(panel)]
    parts += [f'<div style="max-width:80ch">{_text(line)}</div>' for line in panel.lines]
    return f'<div style="{TEXT};line-height:1.5">{"".join(parts)}</div>'


def error_html(message: str) -> str:
    """Render an error message as HTML, escaped."""
    return (
        f'<div role="alert" style="{TEXT};border-left:3px solid {ERROR};padding-left:.8em;'
        f'max-width:80ch">{_text(message)}</div>'
    )


def _table(panel: Panel) -> str:
    head = ""
    if any(column.name for column in panel.columns):
        head = "".join(f'<th style="{_style(c)};{DIM}">{_text(c.name)}</th>' for c in panel.columns)
        head = f"<thead><tr>{head}</tr></thead>"
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_style(column)}">{_text(cell)}</td>'
            for column, cell in zip(panel.columns, row, strict=True)
        )
        + "</tr>"
        for row in panel.rows
    )
    style = "border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums"
    return f'<table style="{style}">{head}<tbody>{body}</tbody></table>'


def _style(column: Column) -> str:
    wrap = "nowrap" if column.wrap == "never" else "normal"
    flow = f"text-align:{column.align};white-space:{wrap}"
    return f"{flow};padding:.15em .8em .15em 0;border-bottom:{LINE}"


def _text(text: str) -> str:
    """Escape a text for HTML, with characters that can't be shown replaced."""
    return html.escape("".join(char if char.isprintable() else "�" for char in text))
