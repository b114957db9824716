"""One condition of the library changed at a time: does a test see it?

    python tests/mutations/run.py --seed 1                # 90 changes, drawn; about an hour on two cores
    python tests/mutations/run.py --seed 1 --count 20 --only python/
    python tests/mutations/run.py --list src/operator.cpp # what could be changed there
    python tests/mutations/run.py --seed 1 --numbers 4 17 # some of those again, and what the tests say

Changes are drawn by a seed: a file first, each as likely, then a change in it (sites.py). A change is killed if a test
of its file's part fails. Python files are changed in a copy of the tree. All changes of C++ files are built together,
each behind a number in the environment (FASTCONV_MUTANT), with the options and compiler cache of an ordinary build.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from sites import Change, changes

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = """
// Whether this change is the one to be made now.
#include <cstdlib>
inline bool mutant(int number) {
  static const int chosen = std::getenv("FASTCONV_MUTANT") ? std::atoi(std::getenv("FASTCONV_MUTANT")) : 0;
  return chosen == number;
}
"""

_CALLS = ("conv2d_api", "memory_of_calls", "residual")
_TRANSPOSED = ("transposed", "residual", "volumes")
# The tests of a file's part, fewer and faster than all that would see a change.
TARGETS = {
    "python/fastconv/arguments.py": ("arguments", *_CALLS, "conv1d"),
    "python/fastconv/arrays.py": ("arguments", *_CALLS),
    "python/fastconv/geometry.py": ("arguments", "conv2d_api", "conv1d", "transposed"),
    "python/fastconv/dtypes.py": ("dtypes", "arguments"),
    "python/fastconv/integer_arguments.py": ("integers", "onnx"),
    "python/fastconv/integers.py": ("integers", "memory_of_calls", "kept"),
    "python/fastconv/prepared.py": (*_CALLS, "composite", "kept"),
    "python/fastconv/prepared_call.py": (*_CALLS, "composite", "kept"),
    "python/fastconv/prepared_transposed.py": ("memory_of_calls", "kept", "composite", *_TRANSPOSED),
    "python/fastconv/conv.py": (*_CALLS, "conv1d", "volumes", "padding_modes"),
    "python/fastconv/grad.py": ("weight_gradient", "memory_of_calls", *_TRANSPOSED),
    "python/fastconv/spread.py": _TRANSPOSED,
    "python/fastconv/layers.py": ("volumes", "conv1d", *_TRANSPOSED),
    "python/fastconv/programs.py": (*_CALLS, "volumes", *_TRANSPOSED),
    "src/operator.cpp": ("memory_of_calls", "kept", "conv2d_api", "residual", "core_checks"),
    "src/remembered_call.cpp": (*_CALLS, "core_checks"),
    "src/bind_plan.cpp": ("core_checks", *_CALLS),
    "src/bind_integer_plan.cpp": ("core_checks", "integers"),
    "src/bind_layer.cpp": ("core_checks", *_TRANSPOSED),
    "src/bind_spread_product.cpp": ("core_checks", "products"),
    "src/bind_problem.cpp": ("core_checks", "memory_of_calls"),
    "src/array_args.hpp": ("core_checks", *_CALLS),
    "cpp/base/problem.cpp": ("core_checks", "arguments", "conv2d_api"),
    "cpp/dispatch/plan.cpp": ("core_checks", "residual", "conv2d_api", "memory"),
    "cpp/dispatch/part.cpp": ("core_checks", "residual", "conv2d_api", "memory"),
    "cpp/dispatch/program.cpp": ("core_checks", "volumes", "residual", *_TRANSPOSED),
    "cpp/dispatch/gather.cpp": ("volumes",),
    "cpp/dispatch/scatter.cpp": ("volumes", "residual", *_TRANSPOSED),
    "cpp/dispatch/filters.cpp": ("volumes", *_TRANSPOSED),
    "cpp/lowering/axis_phases.cpp": _TRANSPOSED,
    "cpp/lowering/layer.cpp": ("core_checks", "volumes"),
    "cpp/lowering/lowering.cpp": ("volumes", *_TRANSPOSED),
    "cpp/dispatch/integer_plan.cpp": ("core_checks", "integers"),
    "cpp/dispatch/finish.hpp": ("residual", "volumes", "transposed"),
}
_COPIED = ("CMakeLists.txt", "pyproject.toml", "cmake", "cpp", "src", "python", "tests", "docs", "README.md")


def draw(seed: int, count: int, only: tuple[str, ...]) -> list[Change]:
    """Changes of distinct places, where there are enough."""
    generator = random.Random(seed)
    by_file = {path: changes(ROOT, path) for path in TARGETS if path.startswith(only)}
    left = {path: list(found) for path, found in by_file.items() if found}
    drawn = []
    while left and len(drawn) < count:
        path = generator.choice(sorted(left))
        change = left[path].pop(generator.randrange(len(left[path])))
        left[path] = [other for other in left[path] if (other.line, other.kind) != (change.line, change.kind)]
        if not left[path]:
            del left[path]
        drawn.append(change)
    return drawn


def tests_of(path: str) -> list[str]:
    names = dict.fromkeys(TARGETS[path])
    return [f"tests/test_{name}.py" for name in names if (ROOT / f"tests/test_{name}.py").exists()]


def copy_tree(to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        source, target = ROOT / name, to / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache", "build", "_core*.so")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)


def instrument(tree: Path, drawn: list[Change]) -> None:
    """Every C++ change, behind its number."""
    by_file: dict[str, dict[int, list[tuple[int, Change]]]] = defaultdict(lambda: defaultdict(list))
    for number, change in enumerate(drawn, 1):
        if not change.path.endswith(".py"):
            by_file[change.path][change.begin].append((number, change))
    (tree / "cpp/mutant.hpp").write_text("#pragma once\n" + SPECIAL)
    for path, places in by_file.items():
        text = (ROOT / path).read_text()
        for begin in sorted(places, reverse=True):
            whole = places[begin][0][1].before
            as_type = "" if text[:begin].endswith("return ") else "bool"  # conditions: of pointers, too
            choice = f"{as_type}({whole})"
            for number, change in places[begin]:
                choice = f"(mutant({number}) ? {as_type}({change.after}) : {choice})"
            text = text[:begin] + choice + text[begin + len(whole) :]
        header = "#pragma once\n" if "#pragma once" in text else ""
        text = text.replace("#pragma once\n", "", 1)
        (tree / path).write_text(f'{header}#include "mutant.hpp"\n{text}')


def build(tree: Path) -> Path:
    """The library of a tree, two folders below it, as a build of the tree itself may be: so a cache knows its files."""
    folder, environment = tree / "build/dev", dict(os.environ)
    options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}"]
    if shutil.which("ccache"):
        options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        environment |= {"CCACHE_BASEDIR": str(ROOT.parent), "CCACHE_NOHASHDIR": "1"}
    command = [sys.executable, "-m", "pybind11", "--cmakedir"]
    cmake = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    options += [f"-Dpybind11_DIR={cmake}", "-DPYBIND11_FINDPYTHON=ON", "-DSKBUILD_PROJECT_VERSION=0.1.0"]
    subprocess.run(
        ["cmake", "-S", tree, "-B", folder, *options], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["cmake", "--build", folder], env=environment, check=True)
    (library,) = folder.glob("_core*.so")
    return library


def run_tests(tree: Path, tests: list[str], number: int, seconds: float) -> tuple[str, str]:
    """("killed" or "survived", what pytest wrote)."""
    environment = os.environ | {"PYTHONPATH": "python", "FASTCONV_MUTANT": str(number), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=short", *tests]
    try:
        ended = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "killed", "took too long"
    return ("survived" if ended.returncode == 0 else "killed"), ended.stdout[-3000:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=90)
    parser.add_argument("--only", default=[""], nargs="+", help="files whose path begins so")
    parser.add_argument("--numbers", type=int, nargs="+", help="of the changes drawn, these alone, with pytest's words")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=900, help="a test run that takes longer has seen the change")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/mutations")
    parser.add_argument("--list", help="a file; print its changes")
    options = parser.parse_args()
    if options.list:
        print(*changes(ROOT, options.list), sep="\n")
        return 0
    drawn = draw(options.seed, options.count, tuple(options.only))
    trees = [options.folder / f"tree{i}" for i in range(options.jobs)]
    for tree in trees:
        copy_tree(tree)
    (library,) = (ROOT / "python/fastconv").glob("_core*.so")
    if any(not change.path.endswith(".py") for change in drawn):
        instrument(trees[0], drawn)
        library = build(trees[0])
    for tree in trees:
        shutil.copy2(library, tree / "python/fastconv")
    free: Queue[Path] = Queue()
    for tree in trees:
        free.put(tree)

    def judge(number: int) -> tuple[str, str]:
        change = drawn[number - 1]
        tree, start = free.get(), time.monotonic()
        file = tree / change.path
        text = file.read_text()
        try:
            if change.path.endswith(".py"):
                file.write_text(change.applied(text))
            end, said = run_tests(tree, tests_of(change.path), number, options.seconds)
        finally:
            file.write_text(text)
            free.put(tree)
        print(f"{number:3} {end:8} {time.monotonic() - start:5.0f} s  {change}", flush=True)
        if options.numbers:
            print(said)
        return end, said

    numbers = options.numbers or range(1, len(drawn) + 1)
    with ThreadPoolExecutor(options.jobs) as pool:
        ends = [end for end, _ in pool.map(judge, numbers)]
    killed = ends.count("killed")
    print(f"seed {options.seed}: {killed} of {len(ends)} changes killed ({100 * killed / len(ends):.0f} %); survivors:")
    for number, end in zip(numbers, ends, strict=True):
        if end == "survived":
            print(f"  {number}: {drawn[number - 1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
