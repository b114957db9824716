"""Where the sources are, and what they include and import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "fastconv"

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def cpp_files(folder: str) -> list[Path]:
    """Every C++ file below a folder of the project."""
    files = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".cpp", ".hpp"))
    assert files, f"no C++ in {folder}"
    return files


def python_files() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    return files


def includes(text: str) -> list[str]:
    """What `#include` lines name, quotes and brackets alike."""
    return [match[2] for match in _INCLUDE.finditer(text)]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text: str, *, at_import_time: bool = False) -> Iterator[str]:
    """Modules a Python source imports: with `at_import_time`, only those that importing it brings in."""
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            # `from fastconv import conv` may name a module.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if at_import_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
