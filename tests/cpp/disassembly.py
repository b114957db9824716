"""Reads `objdump -d -C --no-show-raw-insn` of x86-64, AT&T syntax: functions, their innermost FMA loops, spills."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
_FRAME_POINTER = re.compile(r"^(mov\s+%rsp,%rbp|lea\s+\S*\(%rsp\),%rbp)$")
_VECTOR = re.compile(r"%[xyz]mm\d")


class Instruction(NamedTuple):
    address: int
    name: str
    operands: str

    def __str__(self) -> str:
        return f"{self.address:x}: {self.name} {self.operands}"

    @property
    def is_fma(self) -> bool:
        return re.match(r"vfn?m(add|sub)\d{3}p[sd]$", self.name) is not None

    @property
    def target(self) -> int | None:
        """Where a direct jump goes."""
        match = re.match(r"([0-9a-f]+) <", self.operands) if self.name.startswith("j") else None
        return int(match[1], 16) if match else None


class Function(NamedTuple):
    name: str
    body: tuple[Instruction, ...]

    def innermost_fma_loops(self) -> list[tuple[Instruction, ...]]:
        """Bodies of the loops that hold an FMA and no smaller such loop. A loop ends with a jump back to its begin."""
        begin = self.body[0].address
        jumps = ((i.target, i.address) for i in self.body if i.target is not None)
        spans = {(target, address) for target, address in jumps if begin <= target <= address}
        loops = {(first, last): tuple(i for i in self.body if first <= i.address <= last) for first, last in spans}
        hot = {span: loop for span, loop in loops.items() if any(i.is_fma for i in loop)}
        return [
            loop
            for (first, last), loop in sorted(hot.items())
            if not any((a, b) != (first, last) and first <= a and b <= last for a, b in hot)
        ]

    def spills(self) -> list[str]:
        """Instructions of those loops that move or read a vector from the stack."""
        # Without a frame %rbp is a pointer like any other.
        has_frame = any(_FRAME_POINTER.match(f"{i.name} {i.operands}") for i in self.body)
        on_stack = re.compile(r"\(%r[sb]p\b" if has_frame else r"\(%rsp\b")
        return [
            str(i)
            for loop in self.innermost_fma_loops()
            for i in loop
            if _VECTOR.search(i.operands) and on_stack.search(i.operands)
        ]


def functions(listing: str) -> Iterator[Function]:
    """All functions of a listing that are not empty."""
    name, body = "", []
    for line in [*listing.splitlines(), "0 <>:"]:
        if match := _FUNCTION.match(line):
            if body:
                yield Function(name, tuple(body))
            name, body = match[1], []
        elif match := _INSTRUCTION.match(line):
            body.append(Instruction(int(match[1], 16), match[2], match[3].split("#")[0].strip()))
