"""Write the measured parts of README.md and docs/ from docs/measured/: `python benchmarks/write_docs.py`.

A part stands between `<!-- measured: NAME FILE... -->` and `<!-- end -->`, and is what the function NAME of a file
`doc_*.py` makes of the files. Everything else in a document is prose and left alone. With
`--check` nothing is written; the exit code is 1 if a document is not what the files say.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import doc_errors
import doc_integers
import doc_operators
import doc_tables
import doc_winograd

from fastconv.bench.json_files import read_json

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "docs" / "measured"
FUNCTIONS = doc_tables.PARTS | doc_errors.PARTS | doc_integers.PARTS | doc_operators.PARTS | doc_winograd.PARTS
PART = re.compile(r"(<!-- measured: ([\w .-]+) -->)\n.*?(<!-- end -->)", re.DOTALL)


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def read(path: Path) -> Any:
    """A file of JSON; ValueError with its name if it cannot be read."""
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None


def load(name: str) -> dict[str, Any]:
    """A file of docs/measured, by its name without ".json"; with that name as "file"."""
    data: dict[str, Any] = read(MEASURED / f"{name}.json")
    return {**data, "file": name}


def parts(text: str) -> list[tuple[str, list[str]]]:
    """Function and files of each part."""
    return [(words[0], words[1:]) for words in (match[2].split() for match in PART.finditer(text))]


def written(text: str, *, readme: bool = False) -> str:
    """The document with each part made anew; `readme`: links start at the project's root."""
    folder = "docs/measured" if readme else "measured"

    def part(match: re.Match[str]) -> str:
        name, *files = match[2].split()
        if name not in FUNCTIONS:
            raise ValueError(f"no function makes the part {name!r}")
        try:
            lines = FUNCTIONS[name](*map(load, files))
        except (LookupError, TypeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"{', '.join(files)}: expected what {name!r} is made of ({what})") from error
        body = "\n".join(lines).replace("MEASURED/", f"{folder}/")
        return f"{match[1]}\n{body}\n{match[3]}"

    return PART.sub(part, text)


def add(run: Path, name: str) -> None:
    """Keep what a run wrote, without its white space, as docs/measured/NAME.json."""
    data = read(run)
    (MEASURED / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n", "utf-8")


def main() -> int:
    """Write, or check; 1 if a check found a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", nargs=2, action="append", default=[], metavar=("RUN.json", "NAME"),
                        help="first copy a run to docs/measured/NAME.json")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if something would change")
    options = parser.parse_args()
    try:
        return write([(Path(run), name) for run, name in options.add], check=options.check)
    except ValueError as error:
        parser.error(str(error))


def write(added: list[tuple[Path, str]], *, check: bool) -> int:
    for run, name in added:
        add(run, name)
    stale = []
    for path in documents():
        text = path.read_text("utf-8")
        new = written(text, readme=path.parent == ROOT)
        if new != text:
            stale.append(path)
            if not check:
                path.write_text(new, "utf-8")
    for path in stale:
        what = "is not what docs/measured says" if check else "written"
        print(f"{path.relative_to(ROOT)}: {what}", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
