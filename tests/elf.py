"""Reads of an ELF file what tests ask about: segments, the dynamic section, symbols. 64 bits, little-endian."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 2, 0x6474E551, 0x6474E552
PF_X = 1
DT_FLAGS, DT_FLAGS_1, DF_BIND_NOW, DF_1_NOW = 30, 0x6FFFFFFB, 8, 1
SHT_DYNSYM = 11


class Symbol(NamedTuple):
    """A name that the file exports (`defined`) or wants from others."""

    name: str
    defined: bool


class Elf:
    """The file at `path`; ValueError if it is of another kind."""

    def __init__(self, path: str | Path) -> None:
        self._bytes = Path(path).read_bytes()
        if self._bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: expected an ELF file of 64 bits, little-endian")

    def _rows(self, form: str, at: int, size: int, count: int) -> list[tuple[int, ...]]:
        return [struct.unpack_from("<" + form, self._bytes, at + i * size) for i in range(count)]

    def segments(self) -> dict[int, tuple[int, ...]]:
        """By type: (type, flags, offset, address, -, bytes in the file, bytes in memory, alignment)."""
        (at,) = struct.unpack_from("<Q", self._bytes, 32)
        size, count = struct.unpack_from("<HH", self._bytes, 54)
        return {row[0]: row for row in self._rows("IIQQQQQQ", at, size, count)}

    def dynamic(self) -> dict[int, int]:
        """Tag -> value, of those there is one of."""
        segment = self.segments()[PT_DYNAMIC]
        return dict(self._rows("QQ", segment[2], 16, segment[5] // 16))

    def symbols(self) -> list[Symbol]:
        """Of the dynamic symbol table, those that others see."""
        (at,) = struct.unpack_from("<Q", self._bytes, 40)
        size, count = struct.unpack_from("<HH", self._bytes, 58)
        sections = self._rows("IIQQQQIIQQ", at, size, count)
        (table,) = (row for row in sections if row[1] == SHT_DYNSYM)
        names = sections[table[6]][4]
        found = []
        for name, _, _, section, _, _ in self._rows("IBBHQQ", table[4], 24, table[5] // 24):
            start = names + name
            text = self._bytes[start : self._bytes.index(b"\0", start)].decode()
            if text:
                found.append(Symbol(text, section != 0))
        return found
