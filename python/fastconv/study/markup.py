"""Pieces of HTML: paragraphs, tables, figures. What comes in as text is escaped; what comes in as HTML is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def paragraph(*sentences: str, kind: str = "") -> str:
    """HTML sentences in a paragraph; `kind` is its class."""
    return f"<p{_class(kind)}>{' '.join(sentences)}</p>"


def finding(*sentences: str) -> str:
    """What the numbers show: computed, not written beforehand."""
    return paragraph(*sentences, kind="finding")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table of HTML cells that can be moved sideways on a narrow screen.

    Args:
        columns: Heads, as text; one that begins with "<" is text, the others are figures.
        rows: HTML cells; a row whose first cell begins with "*" is set off.
        caption: Text.
    """
    kinds = ["text" if column.startswith("<") else "" for column in columns]
    head = "".join(
        f'<th scope="col"{_class(kind)}>{escape(column.removeprefix("<"))}</th>'
        for kind, column in zip(kinds, columns, strict=True)
    )
    body = "".join(_row(row, kinds) for row in rows)
    named = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    return (
        f'{named}<div class="table" role="region" tabindex="0" aria-label="{escape(caption or columns[0])}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[str], kinds: Sequence[str]) -> str:
    marked = row[0].startswith("*")
    cells = [row[0].removeprefix("*"), *row[1:]]
    return (
        f"<tr{_class('marked' if marked else '')}>"
        + "".join(f"<td{_class(kind)}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
        + "</tr>"
    )


def figure(name: str, drawing: str, caption: str) -> str:
    """An inline drawing with its caption, which is text and says what is seen to those who do not see it."""
    return (
        f'<figure id="figure-{name}"><div role="img" aria-label="{escape(caption)}">{drawing}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def figures(*parts: str) -> str:
    """Figures beside each other where there is room."""
    return f'<div class="figures">{"".join(parts)}</div>'


def source(text: str) -> str:
    """Papers, one below the other."""
    return f'<span class="source">{escape(text).replace("; ", ";<br>")}</span>' if text else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
