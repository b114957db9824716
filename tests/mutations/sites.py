"""What can be changed in a file, one condition at a time: a :class:`Change` for each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Change(NamedTuple):
    """Text `before` at `begin` of a file becomes `after`; both may be empty."""

    path: str
    line: int
    begin: int
    before: str
    after: str
    kind: str

    def applied(self, text: str) -> str:
        end = self.begin + len(self.before)
        assert text[self.begin : end] == self.before
        return text[: self.begin] + self.after + text[end:]

    def __str__(self) -> str:
        def short(text: str) -> str:
            return " ".join(text.split())[:150]

        return f"{self.path}:{self.line}: {self.kind}: {short(self.before)}  ->  {short(self.after)}"


COMPARISONS = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}


class _Python:
    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines = text.splitlines(keepends=True)

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._at(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._at(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _source(self, node: ast.AST) -> str:
        begin, end = self._span(node)
        return self.text[begin:end]

    def change(self, node: ast.AST, after: str, kind: str) -> Change:
        begin, end = self._span(node)
        return Change(self.path, node.lineno, begin, self.text[begin:end], after, kind)  # type: ignore[attr-defined]

    def changes(self) -> Iterator[Change]:
        tree = ast.parse(self.text)
        # Of what is typed, not run: annotations are no conditions.
        skipped = set()
        for node in ast.walk(tree):
            for name in ("annotation", "returns"):
                part = getattr(node, name, None)
                if isinstance(part, ast.AST):
                    skipped.update(ast.walk(part))
            if isinstance(node, ast.AnnAssign | ast.JoinedStr):
                skipped.update(ast.walk(node))
        for node in ast.walk(tree):
            if node not in skipped:
                yield from self._of(node)

    def _of(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self._source(node.left), self._source(node.comparators[0])
            for operator in COMPARISONS[type(node.ops[0])]:
                yield self.change(node, f"({left} {operator} {right})", "comparison")
        elif isinstance(node, ast.BoolOp):
            word = " and " if isinstance(node.op, ast.And) else " or "
            parts = [f"({self._source(value)})" for value in node.values]
            for i in range(len(parts)):
                yield self.change(node, f"({word.join(parts[:i] + parts[i + 1 :])})", "clause dropped")
            other = " or " if isinstance(node.op, ast.And) else " and "
            yield self.change(node, f"({other.join(parts)})", "and, or")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self.change(node, f"bool({self._source(node.operand)})", "negation dropped")
        elif isinstance(node, ast.IfExp):
            swapped = f"({self._source(node.orelse)} if {self._source(node.test)} else {self._source(node.body)})"
            yield self.change(node, swapped, "branches swapped")
        elif isinstance(node, ast.If) and all(isinstance(s, ast.Raise | ast.Return) for s in node.body):
            yield self.change(node.test, "False", "guard removed")
        elif isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
            other = {"min": "max", "max": "min", "any": "all", "all": "any"}[node.id]
            yield self.change(node, other, "min, max, any, all")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and self._source(node.right) == "1":
            yield self.change(node, f"({self._source(node.left)})", "off by one")


# A C++ condition is changed as a whole, so that all changes can be built together: see build.py.
_TOKENS = (
    (r" && ", " || ", "and, or"),
    (r" \|\| ", " && ", "and, or"),
    (r" < ", " <= ", "comparison"),
    (r" < ", " >= ", "comparison"),
    (r" > ", " >= ", "comparison"),
    (r" <= ", " < ", "comparison"),
    (r" >= ", " > ", "comparison"),
    (r" == ", " != ", "comparison"),
    (r" != ", " == ", "comparison"),
    (r" \+ 1\b", "", "off by one"),
    (r" - 1\b", "", "off by one"),
    (r"std::min\b", "std::max", "min, max"),
    (r"std::max\b", "std::min", "min, max"),
    (r"!(?=[a-z_(])", "", "negation dropped"),
)


def _closing(text: str, begin: int, opening: str = "(", closing: str = ")") -> int:
    depth = 0
    for i in range(begin, len(text)):
        depth += {opening: 1, closing: -1}.get(text[i], 0)
        if depth == 0:
            return i
    return len(text)


def _clauses(text: str) -> list[tuple[int, int]]:
    """Where each operand of the outermost && or || lies, its operator included."""
    depth, begins, word = 0, [0], None
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and text[i : i + 4] in (" && ", " || "):
            if word not in (None, text[i : i + 4]):
                return []
            word = text[i : i + 4]
            begins.append(i + 4)
    if word is None:
        return []
    ends = [*(begin - 4 for begin in begins[1:]), len(text)]
    first = [(begins[0], begins[1])]
    return first + [(begin - 4, end) for begin, end in zip(begins[1:], ends[1:], strict=True)]


def _conditions(text: str) -> Iterator[tuple[int, int, str]]:
    """Conditions of `if`, and what is returned: (begin, end, "if" or "return")."""
    bare = re.sub(r"//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", lambda m: "#" * len(m[0]), text)
    for match in re.finditer(r"\bif \(", bare):
        begin, end = match.end(), _closing(bare, match.end() - 1)
        part = bare[begin:end]
        if "constexpr" in bare[max(0, match.start() - 12) : match.start()] or "{" in part:
            continue
        if ";" in part:
            begin += part.rindex(";") + 2
        elif re.match(r"(const )?[\w:]+[\w:<>]*\*?&? (const )?\w+ = ", part):
            continue
        yield begin, end, "if"
    for match in re.finditer(r"\breturn ([^;{}]+);", bare):
        line = bare[bare.rfind("\n", 0, match.start()) + 1 : match.end()]
        if "constexpr" not in line:
            yield match.start(1), match.end(1), "return"


def _cpp_changes(path: str, text: str) -> Iterator[Change]:
    for begin, end, what in _conditions(text):
        whole, line = text[begin:end], text.count("\n", 0, begin) + 1
        found: list[tuple[str, str]] = []
        for pattern, after, kind in _TOKENS:
            for match in re.finditer(pattern, whole):
                found.append((whole[: match.start()] + after + whole[match.end() :], kind))
        clauses = _clauses(whole)
        for first, last in clauses:
            found.append((whole[:first] + whole[last:], "clause dropped"))
        follows = text[end + 1 :].lstrip()
        if what == "if" and re.match(r"(throw|return|\{\s*return|\{\s*throw)\b", follows):
            found.append(("false", "guard removed"))
        for after, kind in found:
            yield Change(path, line, begin, whole, after.strip(), kind)


def changes(root: Path, path: str) -> list[Change]:
    """All changes of a file, in its order."""
    text = (root / path).read_text()
    if path.endswith(".py"):
        found: Iterator[Change] = _Python(path, text).changes()
    else:
        found = _cpp_changes(path, text)
    unique = {(change.begin, change.before, change.after): change for change in found}
    return sorted(unique.values(), key=lambda change: (change.begin, change.after))
