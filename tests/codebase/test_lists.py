"""Lists that must agree with what they list, and name nothing twice."""

from __future__ import annotations

import ast
import importlib
import re

import pytest
from instruction_sets import WHOLE_NUMBERS
from sources import PACKAGE, ROOT, cpp_files, module_name, python_files

import fastconv
from fastconv import _core
from fastconv.bench.layers import TABLES
from fastconv.testing.edge_cases import EDGE_CASES


def text_of(name):
    return (ROOT / name).read_text()


def assert_same(listed, actual):
    assert sorted(listed) == sorted(set(listed)), "named twice"
    assert sorted(listed) == sorted(actual)


def test_the_registry_lists_every_algorithm_file():
    listed = re.findall(r"^\s+X\((\w+)\)", text_of("cpp/algorithms/registry.cpp"), re.MULTILINE)
    files = [path.stem for path in (ROOT / "cpp/algorithms").glob("*.cpp") if path.stem != "registry"]
    assert_same(listed, files)
    assert tuple(listed) == fastconv.algorithms(), "file, record and Python name coincide, in the registry's order"
    for name in listed:
        assert f'.name = "{name}"' in text_of(f"cpp/algorithms/{name}.cpp")


def test_every_isa_has_a_file_flags_and_a_row():
    cmake, rows = text_of("cmake/isa.cmake"), text_of("cpp/isa/isa.cpp")
    vectors = [path.stem.removesuffix("-vec") for path in (ROOT / "cpp/isa").glob("*-vec.hpp")]
    isas, dot_isas = ([name for name in vectors if name.startswith("dot_") == dot] for dot in (False, True))
    assert_same([path.stem for path in (ROOT / "cpp/isa").glob("*.cpp")], ["isa", *dot_isas])
    assert_same(re.findall(r"\(FASTCONV_FLAGS_(\w+)", cmake), vectors)
    for table, files in (("FASTCONV_ISAS", isas), ("FASTCONV_DOT_ISAS", dot_isas)):
        built = re.findall(rf"\bset\({table} ([\w ]+)\)|PREPEND {table} ([\w ]+)\)", cmake)
        assert_same(" ".join(" ".join(names) for names in built).split(), files)
    assert set(dot_isas) <= set(re.findall(r"&(\w+)::kernels\b", rows))
    in_order = re.findall(r"\{&(\w+)::kernels,", rows)
    assert_same(in_order, isas)
    order = [name for name in in_order if name in _core.compiled_isas()]
    assert tuple(order) == _core.compiled_isas()
    assert set(fastconv.available_isas()) <= set(_core.compiled_isas())


def test_the_summary_of_the_tests_knows_every_isa():
    cmake = text_of("cmake/isa.cmake")
    assert_same([*WHOLE_NUMBERS, *WHOLE_NUMBERS.values()], re.findall(r"\(FASTCONV_FLAGS_(\w+)", cmake))


def families():
    """The families of kernels, of which every ISA has a unit per element type."""
    return re.search(r"set\(FASTCONV_FAMILIES ([\w ]+)\)", text_of("cmake/isa.cmake"))[1].split()


def test_every_family_is_built_and_has_its_table():
    declared = re.findall(r"^  X\((\w+), (\w+)\)", text_of("cpp/kernels/kernel_set.hpp"), re.MULTILINE)
    assert_same([family for family, _ in declared], families())
    for family, table in declared:
        definition = rf"^constexpr {table}<T> {family}_table\(\) {{$"
        assert re.search(definition, text_of(f"cpp/kernels/{family}-inl.hpp"), re.MULTILINE), family


def test_every_kernel_header_belongs_to_a_family():
    """Nothing is left that no unit compiles. (dot_*: units of their own.)"""
    seen, left = set(), [f"{family}-inl.hpp" for family in families()]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += re.findall(r'#include "kernels/(\w+-inl\.hpp)"', text_of(f"cpp/kernels/{name}"))
    files = {path.name for path in (ROOT / "cpp/kernels").glob("*-inl.hpp") if not path.name.startswith("dot")}
    assert_same(seen, files)


def test_cmake_lists_every_cpp_file():
    sources = re.search(r"set\(sources(.*?)\)", text_of("cpp/CMakeLists.txt"), re.DOTALL)[1].split()
    isa_units = {f"isa/{name}.cpp" for name in ("dot_scalar", "dot_avx2", "dot_vnni")}  # from cmake/isa.cmake's table
    files = {str(path.relative_to(ROOT / "cpp")) for path in cpp_files("cpp") if path.suffix == ".cpp"}
    assert_same(sources, files - isa_units)


def test_cmake_lists_every_binding_file():
    listed = re.findall(r"src/\w+\.cpp", text_of("CMakeLists.txt"))
    assert_same(listed, [f"src/{path.name}" for path in (ROOT / "src").glob("*.cpp")])


def test_cmake_lists_every_cpp_test():
    tests = re.search(r"foreach\(test ([\w\s]+)\)", text_of("cpp/CMakeLists.txt"))[1].split()
    assert_same(tests, [path.stem for path in (ROOT / "tests/cpp").glob("*.cpp")])


@pytest.mark.parametrize("header", sorted((ROOT / "cpp/include/fastconv").glob("*.hpp")), ids=lambda path: path.stem)
def test_public_headers_are_used(header):
    users = [path for path in cpp_files("cpp") if f'"fastconv/{header.name}"' in path.read_text()]
    assert users


def test_all_is_complete_and_sorted():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    bound = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}  # at import, and not meant for others
    assert_same(fastconv.__all__, {*bound - used, "__version__"})
    assert fastconv.__all__ == sorted(fastconv.__all__)
    for name in fastconv.__all__:
        assert getattr(fastconv, name) is not None


def public(names):
    return {name for name in names if not name.startswith("_")}


def stub():
    return ast.parse((PACKAGE / "_core.pyi").read_text()).body


def test_the_stub_names_what_the_core_has():
    names = [node.name for node in stub() if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names += [node.target.id for node in stub() if isinstance(node, ast.AnnAssign)]
    assert_same(names, public(dir(_core)))


def test_the_stub_names_what_its_classes_have():
    for node in stub():
        if isinstance(node, ast.ClassDef):
            members = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            assert_same([name for name in members if not name.startswith("_")], public(dir(getattr(_core, node.name))))


@pytest.mark.parametrize("path", python_files(), ids=module_name)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("name", sorted(set(fastconv.__all__) - {"__version__"}))
def test_public_names_are_documented(name):
    assert len(getattr(fastconv, name).__doc__ or "") > 40


def test_layer_names_are_unique():
    names = [layer.name for layer in EDGE_CASES]
    assert_same(names, names)
    assert len({layer.problem() for layer in EDGE_CASES}) == len(EDGE_CASES), "no layer stands under two names"
    assert set(TABLES["odd"]) <= set(EDGE_CASES)


def test_modules_can_be_imported_alone():
    for path in python_files():
        if path.stem != "__main__":
            importlib.import_module(module_name(path))


def test_ci_runs_the_command_of_the_readme():
    command = [line for line in text_of(".ci/run").splitlines() if "pytest" in line and not line.startswith("#")]
    assert len(command) == 1
    assert re.search(rf"^\s*{re.escape(command[0])}\s*$", text_of("README.md"), re.MULTILINE)


def test_versions_agree():
    version = re.search(r'^version = "([\d.]+)"', text_of("pyproject.toml"), re.MULTILINE)[1]
    assert re.search(r"project\(fastconv VERSION ([\d.]+)", text_of("cpp/CMakeLists.txt"))[1] == version
    assert fastconv.__version__ == version
    assert f"{version}" in text_of("CHANGELOG.md")
