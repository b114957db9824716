"""Reads a report as a browser would, without one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "br", "img", "hr"}


@dataclass
class Number:
    """A `<data>` element."""

    at: str
    form: str
    value: Any
    text: str = ""


@dataclass
class Page(HTMLParser):
    """What the tests look for."""

    numbers: list[Number] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)  # id -> marks that are drawn in it
    captions: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._figure = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src", "xlink:href") if name in given]
        if tag == "figure":
            self._figure = given["id"]
            self.figures[self._figure] = 0
        elif tag in ("path", "use", "text") and self._figure:
            self.figures[self._figure] += 1
        elif tag == "figcaption":
            self.captions.append("")
        elif tag == "data":
            self.numbers.append(Number(given["data-at"], given["data-form"], json.loads(given["value"])))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        if tag == "figure":
            self._figure = ""

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
        if self._open and self._open[-1] == "data":
            self.numbers[-1].text += data
        if self._open and self._open[-1] == "figcaption":
            self.captions[-1] += data


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert not page._open, "every element is closed"
    return page


def at(record: Any, pointer: str) -> Any:
    """The value at a JSON pointer, RFC 6901."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        record = record[int(name) if isinstance(record, list) else name]
    return record
