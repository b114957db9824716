"""The layers, read from `#include` and `import` lines: base <- kernels, isa <- gemm <- winograd, integer <-
algorithms <- dispatch, measure <- src <- python; lowering is beside the kernels. Include downward only.
"""

from __future__ import annotations

import re
import sys

import pytest
from sources import PACKAGE, ROOT, cpp_files, imports, includes, module_name, python_files

# What a folder's files may include beside their own folder and the C++ library.
MAY_INCLUDE = {
    "include/fastconv": set(),
    "base": {"fastconv"},
    "kernels": {"fastconv", "isa"},  # kernels/vec.hpp: the scalar vector for a kernel opened alone; see below
    "isa": {"fastconv", "base", "kernels"},
    "gemm": {"fastconv", "base", "kernels"},
    "winograd": {"fastconv", "base", "kernels", "gemm"},
    "algorithms": {"fastconv", "base", "kernels", "gemm", "winograd"},
    "integer": {"fastconv", "base", "kernels", "gemm"},
    "dispatch": {"fastconv", "base", "kernels", "gemm", "integer", "algorithms"},
    "lowering": {"fastconv", "base"},
    "measure": {"fastconv", "base", "kernels", "gemm", "algorithms", "dispatch"},
}

# What a unit compiled with an ISA's flags may include: nothing that defines an inline function, which the linker might
# keep for everyone. C headers declare functions only.
ISA_UNIT_SYSTEM_HEADERS = {"stddef.h", "stdint.h", "math.h", "immintrin.h", "arm_neon.h"}

# The pool's spin wait is a hint, not arithmetic: guarded, with a way out for other architectures.
INTRINSICS = re.compile(
    r"immintrin|intrin\.h|arm_neon|arm_sve|_mm\d*_|__m(128|256|512)|__builtin_ia32(?!_pause)|\bvld1q|\bsvld1"
)

# System headers that exist on one architecture only, and who may include them.
ONE_ARCHITECTURE = {
    "cpuid.h": {"cpp/base/cpu.cpp"},
    "immintrin.h": {f"cpp/isa/{unit}-vec.hpp" for unit in ("avx2", "avx512", "dot_avx2", "dot_vnni")},
}


def folder_of(name):
    """The layer an include belongs to; None for the C++ library and the system."""
    first = name.split("/")[0]
    return first if "/" in name and (first == "fastconv" or first in MAY_INCLUDE) else None


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_cpp_includes_go_downward(folder):
    own = "fastconv" if folder == "include/fastconv" else folder
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in cpp_files(f"cpp/{folder}")
        for name in includes(path.read_text())
        if folder_of(name) not in {None, own, *MAY_INCLUDE[folder]}
    ]
    assert not wrong


def test_every_folder_has_its_place():
    folders = {path.name for path in (ROOT / "cpp").iterdir() if path.is_dir()} - {"include"}
    assert folders == set(MAY_INCLUDE) - {"include/fastconv"}


def test_kernels_include_one_file_of_isa():
    seen = [
        (path.name, name)
        for path in cpp_files("cpp/kernels")
        for name in includes(path.read_text())
        if folder_of(name) == "isa"
    ]
    assert seen == [("vec.hpp", "isa/scalar-vec.hpp")]


def test_algorithms_never_include_each_other():
    parts = ("common", "lanes", "depthwise_nhwc", "depthwise_swapped", "fft_tiles")
    shared = {f"algorithms/{name}.hpp" for name in parts}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in cpp_files("cpp/algorithms")
        for name in includes(path.read_text())
        if folder_of(name) == "algorithms" and name not in shared
    ]
    assert not wrong
    headers = {f"algorithms/{path.name}" for path in cpp_files("cpp/algorithms") if path.suffix == ".hpp"}
    assert headers == shared, "an algorithm has no header: what is shared moves down, or is listed here"


def closure(name, seen):
    """All files of the project that an include brings in, with the system headers on the way."""
    for root in (ROOT / "cpp", ROOT / "cpp" / "include"):
        if (root / name).is_file():
            if name not in seen["project"]:
                seen["project"].add(name)
                for inner in includes((root / name).read_text()):
                    closure(inner, seen)
            return seen
    seen["system"].add(name)
    return seen


ISAS = sorted(path.stem.removesuffix("-vec") for path in (ROOT / "cpp/isa").glob("*-vec.hpp"))
UNIT = (ROOT / "cpp/isa/unit.cpp.in").read_text()
FAMILIES = sorted(path.name.removesuffix("-inl.hpp") for path in (ROOT / "cpp/kernels").glob("*-inl.hpp"))


def unit_includes(isa):
    """What an ISA's units include: those made from unit.cpp.in, or the one that is written out."""
    if isa.startswith("dot_"):
        return [f"isa/{isa}.cpp"]
    return [
        name.replace("@isa@", isa).replace("@family@", family)
        for family in FAMILIES
        for name in includes(UNIT)
        if not family.startswith("dot")
    ]


@pytest.mark.parametrize("isa", ISAS)
def test_isa_units_include_no_containers(isa):
    seen = {"project": set(), "system": set()}
    for name in unit_includes(isa):
        closure(name, seen)
    assert len(seen["project"]) > 3, "the kernels are among them"
    assert f"isa/{isa}-vec.hpp" in seen["project"]
    allowed = ISA_UNIT_SYSTEM_HEADERS | {"cstdint"}  # fastconv/epilogue.hpp: fixed-width names, no functions
    assert seen["system"] <= allowed


def test_only_isa_sees_intrinsics():
    wrong = [
        str(path.relative_to(ROOT))
        for folder in ("cpp", "src")
        for path in cpp_files(folder)
        if INTRINSICS.search(code_of(path.read_text())) and path.parent != ROOT / "cpp" / "isa"
    ]
    assert not wrong


def code_of(text):
    return re.sub(r"//.*", "", text)


@pytest.mark.parametrize("header", ONE_ARCHITECTURE)
def test_headers_of_one_architecture(header):
    users = {
        str(path.relative_to(ROOT))
        for folder in ("cpp", "src")
        for path in cpp_files(folder)
        if header in includes(path.read_text())
    }
    assert users == ONE_ARCHITECTURE[header]


def test_cpuid_is_guarded():
    text = (ROOT / "cpp/base/cpu.cpp").read_text()
    before = text[: text.index("cpuid.h")]
    assert before.count("#if") > before.count("#endif"), "cpuid.h stands inside an #if"
    assert "x86" in before[before.rindex("#if") :]


def test_only_src_sees_pybind11_and_python():
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in cpp_files("cpp") + cpp_files("tests/cpp")
        for name in includes(path.read_text())
        if name.startswith(("pybind11", "Python.h", "numpy"))
    ]
    assert not wrong
    assert any("pybind11" in path.read_text() for path in cpp_files("src"))


def test_nothing_in_cpp_prints_or_aborts():
    calls = re.compile(
        r"\b(printf|puts|fputs|fprintf|abort|exit|_exit|terminate)\s*\(|std::c(out|err|log)\b|<iostream>"
    )
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in cpp_files("cpp")
        for match in calls.finditer(code_of(path.read_text()))
    ]
    assert not wrong


# --- Python: the drop-in call and what it needs, then measuring, then the command line and the tests' tools.
UPPER = {
    "fastconv.bench": ("fastconv.study", "fastconv.cli", "fastconv.testing", "fastconv.__main__"),
    "fastconv.study": ("fastconv.cli", "fastconv.testing", "fastconv.__main__"),
    "fastconv.testing": ("fastconv.study", "fastconv.cli", "fastconv.__main__"),
    "fastconv.cli": ("fastconv.testing", "fastconv.__main__"),
    "fastconv.__main__": ("fastconv.testing",),
}
CORE_MAY_NOT = ("fastconv.bench", "fastconv.study", "fastconv.cli", "fastconv.testing", "fastconv.__main__")


def is_in(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", python_files(), ids=module_name)
def test_python_imports_go_downward(path):
    module = module_name(path)
    forbidden = next((UPPER[package] for package in UPPER if is_in(module, [package])), CORE_MAY_NOT)
    assert [name for name in imports(path.read_text()) if is_in(name, forbidden)] == []


@pytest.mark.parametrize("path", python_files(), ids=module_name)
def test_importing_needs_numpy_alone(path):
    """The extras of the command line are imported where they are used, so that what is missing can be named."""
    roots = {name.split(".")[0] for name in imports(path.read_text(), at_import_time=True)}
    assert roots - sys.stdlib_module_names <= {"numpy", "fastconv"}


def test_the_readers_read():
    """Includes and imports in every form that the other tests rely on."""
    assert includes('#include <a>\n#  include "b/c.hpp"\n// #include <d>\nint x;') == ["a", "b/c.hpp"]
    text = "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\ndef f():\n    import g\n"
    assert set(imports(text)) == {"a.b", "c.d", "e", "g"}
    assert set(imports(text, at_import_time=True)) == {"a.b", "c.d"}
    assert module_name(PACKAGE / "bench" / "__init__.py") == "fastconv.bench"


def test_no_destructor_takes_the_gil():
    """pybind11's scopes do, and Python ends a thread that comes too late for the GIL by unwinding: through a noexcept
    function that is the end of the process. src/run_released.hpp has what to use instead, and says so where it must.
    """
    wrong = {
        f"{path.name}: {name}"
        for path in cpp_files("src")
        for name in re.findall(r"gil_scoped_\w+|PyGILState_Ensure|PyEval_(?:Restore|Acquire)Thread", path.read_text())
    }
    assert wrong == {"run_released.hpp: PyEval_RestoreThread"}
