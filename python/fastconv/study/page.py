"""The report: one HTML file that needs nothing else, no network, no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from fastconv.study.markup import paragraph
from fastconv.study.section import Section
from fastconv.study.shown import Shown

TITLE = "Convolution from the perspective of kernel sizes"


def page(record: Mapping[str, Any], sections: Sequence[Section]) -> str:
    """The report as HTML.

    Args:
        record: What report.json holds; see :func:`fastconv.study.run.study`.
        sections: In the order of the page.
    """
    style = resources.files("fastconv.study").joinpath("page.css").read_text("utf-8")
    body = "\n".join((*_head(record, sections), *(_section(n, s, record) for n, s in enumerate(sections, start=1))))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # or a browser would ask for one
        f"<title>{TITLE}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(record: Mapping[str, Any], sections: Sequence[Section]) -> Iterator[str]:
    yield f"<header><h1>{TITLE}</h1>"
    yield paragraph(
        "A convolution is a fully connected layer under two constraints: most of its weights are zero, and the others "
        "are shared. How large the kernel is decides what that saves, and counting is half of the answer: what takes "
        "fewer multiply-adds on paper may take no less time on a machine. Here both are set side by side, every time "
        "measured on the machine named below."
    )
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
    machine = (
        f"{record['cpu']}, {record['isa']}, {threads}, {record['dtype']}; fastconv {record['fastconv_version']}, "
        f"NumPy {record['numpy_version']}, {record['compiler']}; {record['utc'][:16].replace('T', ' ')} UTC; "
        f"“{record['scale']}” study, {record['seconds']:.0f} s."
    )
    yield paragraph(escape(machine), kind="machine")
    yield paragraph(
        "Times are medians of calls with weights packed beforehand; what is compared took turns, so that all saw the "
        "same drift of the machine. “?” marks a time whose middle half spreads over more than 20% of the median. "
        "Multiply-adds count taps in the padding, too. Nothing here measures how well a network learns. "
        "All numbers are in report.json, beside this file.",
        kind="note",
    )
    links = "".join(f'<li><a href="#{section.key}">{escape(section.title)}</a></li>' for section in sections)
    yield f'<nav aria-label="Sections"><ol>{links}</ol></nav></header>'


def _section(number: int, section: Section, record: Mapping[str, Any]) -> str:
    data = record["sections"][section.key]
    head = f'<section id="{section.key}">\n<h2>{number}. {escape(section.title)}</h2>'
    question = paragraph(escape(section.question), kind="question")
    if (missing := data.get("left_out")) is not None:
        return f"{head}\n{question}\n{paragraph(f'Left out: {escape(missing)}.', kind='note')}\n</section>"
    shown = Shown(section.key, data["measured"], data["found"])
    return "\n".join((head, question, *section.write(shown), "</section>"))
