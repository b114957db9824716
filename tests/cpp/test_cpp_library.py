"""The kernel library without Python: built with cmake, smoke-tested, installed, used, looked into, and sanitized.

Builds are shared between the tests and made in a temporary folder of the session. Needs a C++ compiler with its
binutils (nm, objdump); cmake and ninja come with the `test` extra.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from disassembly import functions

ROOT = Path(__file__).resolve().parents[2]
X86 = platform.machine().lower() in ("x86_64", "amd64")
ISAS = ("scalar", "avx2", "avx512") if X86 else ("scalar",)
DOT_ISAS = ("dot_scalar", "dot_avx2", "dot_vnni") if X86 else ("dot_scalar",)  # kernels for whole numbers
FAMILIES = re.search(r"set\(FASTCONV_FAMILIES ([\w ]+)\)", (ROOT / "cmake/isa.cmake").read_text())[1].split()
ELEMENTS = ("float", "double")
CPP_TESTS = re.search(r"foreach\(test ([\w\s]+)\)", (ROOT / "cpp/CMakeLists.txt").read_text())[1].split()
UNITS = (*(f"{isa}/{family}_{element}" for isa in ISAS for family in FAMILIES for element in ELEMENTS), *DOT_ISAS)
JOBS = "2"


def tool(name):
    """The executable of an installed extra, else of the system."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert path, f"{name} is needed: pip install 'fastconv[test]', or a compiler's binutils"
    return path


def run(*command, env=None, timeout=600):
    result = subprocess.run(
        [str(part) for part in command],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout[-6000:]}{result.stderr[-6000:]}"
    return result.stdout


def configure(source, build, *options):
    run(tool("cmake"), "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", *options)


# Instrumented kernels take minutes to compile with the -O3 that ISA units otherwise have.
NOT_OPTIMISED = ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1")


def build_library(folder, *options):
    configure(ROOT / "cpp", folder, *options)
    run(tool("cmake"), "--build", folder, "--parallel", JOBS)
    return folder


def run_cpp_tests(build, **env):
    output = run(tool("cmake"), "-E", "chdir", build, tool("ctest"), "--output-on-failure", env=env)
    # CMake 4 says it shorter.
    assert re.search(rf"100% tests passed(, 0 tests failed)? out of {len(CPP_TESTS)}\n", output), output


class Built(NamedTuple):
    build: Path
    objects: Path  # of the library


def objects_of(build):
    return build / "CMakeFiles" / "fastconv.dir"


def objects_of_what_was_installed():
    """Those that `pip install .` left, if none of the sources has changed since: compiling them again takes minutes."""
    sources = [path for folder in ("cpp", "cmake") for path in (ROOT / folder).rglob("*") if path.is_file()]
    newest = max(path.stat().st_mtime for path in sources)
    for library in (ROOT / "build").glob("*/cpp/libfastconv.a"):
        cache = (library.parents[1] / "CMakeCache.txt").read_text()
        if library.stat().st_mtime > newest and re.search("^CMAKE_BUILD_TYPE:.*=Release$", cache, re.MULTILINE):
            return objects_of(library.parent)
    return None


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Every ISA, as users get them."""
    folder, objects = tmp_path_factory.mktemp("release"), objects_of_what_was_installed()
    options = [f"-DFASTCONV_OBJECTS={objects}"] if objects else []
    build_library(folder, "-DCMAKE_BUILD_TYPE=Release", "-DFASTCONV_WERROR=ON", *options)
    return Built(folder, objects or objects_of(folder))


@pytest.fixture(scope="session")
def isa_objects(release):
    """By the names in UNITS, and isa.cpp's."""
    objects = {path.name.removesuffix(".cpp.o"): path for path in release.objects.rglob("isa/*.cpp.o")}
    units = release.objects.rglob("units/*/*.o")
    objects |= {f"{path.parent.name}/{path.name.removesuffix('.cpp.o')}": path for path in units}
    assert set(objects) == {*UNITS, "isa"}
    return objects


def test_cpp_tests(release):
    """Each operation of Vec and each entry of a kernel table against plain loops, then whole layers."""
    run_cpp_tests(release.build)


def test_scalar_only(sanitized):
    """As on an architecture that no ISA unit is for."""
    assert sorted(path.name for path in objects_of(sanitized).rglob("isa/*.cpp.o")) == ["dot_scalar.cpp.o", "isa.cpp.o"]
    assert {path.parent.name for path in objects_of(sanitized).rglob("units/*/*.o")} == {"scalar"}


CONSUMER = {
    "CMakeLists.txt": """\
        cmake_minimum_required(VERSION 3.21)
        project(consumer LANGUAGES CXX)
        find_package(fastconv 0.1 REQUIRED)
        add_executable(consumer main.cpp)
        target_link_libraries(consumer PRIVATE fastconv::fastconv)
        """,
    "main.cpp": """\
        #include <fastconv/isa.hpp>
        #include <fastconv/machine.hpp>
        #include <fastconv/plan.hpp>
        #include <fastconv/threads.hpp>

        #include <vector>

        int main() {
          fastconv::ConvProblem p;
          p.H = p.W = 4;
          p.R = p.S = 3;
          const std::vector<float> x(16, 1.0f), w(9, 2.0f);
          std::vector<float> y(4);
          const fastconv::Plan plan(p, *fastconv::find_algorithm("direct"), w.data(), nullptr, {});
          if (!plan.run(x.data(), y.data())) return 1;
          return y == std::vector<float>(4, 18.0f) ? 0 : 2;
        }
        """,
}


def test_installed_library_is_found_and_used(release, tmp_path):
    prefix, source, build = tmp_path / "prefix", tmp_path / "source", tmp_path / "build"
    run(tool("cmake"), "--install", release.build, "--prefix", prefix)
    source.mkdir()
    for name, text in CONSUMER.items():
        (source / name).write_text(textwrap.dedent(text))
    configure(source, build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(tool("cmake"), "--build", build)
    run(build / "consumer")
    installed = {path.name for path in (prefix / "include").rglob("*.hpp")}
    assert installed == {path.name for path in (ROOT / "cpp/include/fastconv").iterdir()}


@pytest.mark.parametrize("isa", ISAS + DOT_ISAS)
def test_isa_units_export_their_table_alone(isa_objects, isa):
    """An inline function compiled for AVX-512 could be kept by the linker for everyone, and crash older CPUs."""
    for unit in (unit for unit in UNITS if unit.split("/")[0] == isa):
        lines = run(tool("nm"), "--demangle", "--defined-only", isa_objects[unit]).splitlines()
        symbols = [line.split(maxsplit=2)[1:] for line in lines]
        assert len(symbols) > 2, "the kernels are there, as local symbols"
        exported = [name for kind, name in symbols if not kind.islower() or kind in "uvw"]
        assert exported == [f"fastconv::{isa}::{'kernels' if isa in DOT_ISAS else unit.split('/')[1]}"]


@functools.cache
def disassembly(path):
    return run(tool("objdump"), "--disassemble", "--demangle", "--no-show-raw-insn", path)


@pytest.mark.skipif(not X86, reason="looks for x86 registers")
def test_nothing_but_isa_units_uses_avx(release, isa_objects):
    """AVX instructions are those on ymm and zmm, and whatever begins with v and works on xmm."""
    avx = re.compile(r"%[yz]mm\d|\tv\w+\s.*%xmm")
    assert avx.search(disassembly(isa_objects["avx2/tile_float"]))
    objects = list(release.objects.rglob("*.o"))
    objects = [path for path in objects if not re.search("avx|vnni", "/".join(path.parts[-2:]))]
    assert isa_objects["scalar/tile_float"] in objects
    assert len(objects) > 10
    assert [path.name for path in objects if avx.search(disassembly(path))] == []


# A reduction loop of two FMAs that keeps one of its sums on the stack, inside an outer loop that may do so.
SPILLING = """
0000000000000000 <void f<1>(int)>:
   0:\tlea    0x8(%rsp),%r10
   5:\tvmovaps %ymm0,0x20(%rsp)
   9:\tvbroadcastss (%rdi),%ymm2
   d:\tvfmadd231ps (%rsi),%ymm2,%ymm1
  12:\tvmovaps 0x40(%rsp),%ymm3
  17:\tvfmadd231ps %ymm2,%ymm2,%ymm3
  1c:\tvmovaps %ymm3,0x40(%rsp)
  21:\tadd    $0x4,%rdi
  25:\tcmp    %rax,%rdi
  28:\tjne    9 <void f<1>(int)+0x9>
  2a:\tvmovaps 0x20(%rsp),%ymm0
  30:\tdec    %rcx
  33:\tjne    5 <void f<1>(int)+0x5>
  35:\tret
"""
CLEAN = re.sub(r".*0x40\(%rsp\).*\n", "", SPILLING)


def test_the_spill_check_finds_spills():
    (f,) = functions(SPILLING)
    assert f.name == "void f<1>(int)"
    (loop,) = f.innermost_fma_loops()
    assert (loop[0].address, loop[-1].address) == (0x9, 0x28), "not the outer loop"
    assert sum(i.is_fma for i in loop) == 2
    assert f.spills() == ["12: vmovaps 0x40(%rsp),%ymm3", "1c: vmovaps %ymm3,0x40(%rsp)"]

    (g,) = functions(CLEAN)
    assert g.innermost_fma_loops()
    assert g.spills() == []


def test_the_spill_check_knows_frame_pointers():
    by_frame = SPILLING.replace("0x40(%rsp)", "-0x40(%rbp)")
    (pointer,) = functions(by_frame)
    assert pointer.spills() == [], "without a frame %rbp is a pointer like any other"
    (frame,) = functions(by_frame.replace("lea    0x8(%rsp),%r10", "mov    %rsp,%rbp"))
    assert len(frame.spills()) == 2
    (broadcast,) = functions(SPILLING.replace("vbroadcastss (%rdi),%ymm2", "vbroadcastss 0x8(%rsp),%ymm2"))
    assert len(broadcast.spills()) == 3


@pytest.mark.skipif(not X86, reason="reads x86 disassembly")
@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "scalar"])
def test_register_tiles_do_not_spill(isa_objects, isa):
    """Every dense algorithm, Winograd's products too, spends its time in these loops."""
    is_tile = re.compile(r"\b(pixel|channel)_tile<(\w+), (\d+), (\d+)")
    units = [isa_objects[f"{isa}/tile_{element}"] for element in ELEMENTS]
    tiles = [f for unit in units for f in functions(disassembly(unit)) if is_tile.search(f.name)]
    shapes = [is_tile.search(f.name).groups() for f in tiles]
    assert {(kind, dtype) for kind, dtype, _, _ in shapes} == {
        (kind, dtype) for kind in ("pixel", "channel") for dtype in ("float", "double")
    }
    failures = []
    for f, (_, _, rows, vectors) in zip(tiles, shapes, strict=True):
        loops = f.innermost_fma_loops()
        fmas = [sum(i.is_fma for i in loop) for loop in loops]
        if len(loops) != 1 or fmas[0] % (int(rows) * int(vectors)):
            failures.append(f"{f.name}: expected one loop with all {rows}x{vectors} sums, FMAs of its loops: {fmas}")
        failures += [f"{f.name}: {spill}" for spill in f.spills()]
    assert not failures, "\n".join(failures)


# Frames and lines for the report; a finding ends the program.
SANITIZED = "-O1 -g1 -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize="


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory):
    """The portable kernels alone: all loops and algorithms are there. Those of other ISAs would take minutes more of
    compilation; tests/sanitizers/run has them, and the bindings.
    """
    # Checks of every pointer, which address does for what is read or written, take two minutes of compilation more.
    checks = f"{SANITIZED}address,undefined -fno-sanitize=null,alignment,object-size,pointer-overflow"
    options = "-DFASTCONV_SCALAR_ONLY=ON", *NOT_OPTIMISED, f"-DCMAKE_CXX_FLAGS_DEBUG={checks}"
    return build_library(tmp_path_factory.mktemp("sanitized"), *options)


def test_smoke_under_address_and_undefined_behaviour_sanitizers(sanitized):
    run_cpp_tests(sanitized, ASAN_OPTIONS="detect_stack_use_after_return=1", UBSAN_OPTIONS="print_stacktrace=1")


def compile_pool_smoke(program, sanitizer, *more):
    """The pool needs base/ alone: no ISA unit is compiled for it."""
    command = [os.environ.get("CXX", "c++"), "-std=c++20", "-pthread", *(SANITIZED + sanitizer).split()]
    paths = ["-I", ROOT / "cpp", "-I", ROOT / "cpp/include"]
    run(*command, *paths, *more, *(ROOT / "cpp/base").glob("*.cpp"), "-o", program)
    return program


def test_pool_under_the_thread_sanitizer(tmp_path):
    program = compile_pool_smoke(tmp_path / "pool", "thread", ROOT / "tests/cpp/pool_smoke.cpp")
    run(program, env={"TSAN_OPTIONS": "halt_on_error=1"})


# Tasks long enough for the worker to have woken before the caller has done them all.
RACE = """
#include <chrono>
#include <thread>

#include "base/parallel_for.hpp"

int main() {
  int sum = 0;
  fastconv::parallel_for(64, 2, [&](std::ptrdiff_t task, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    sum += int(task);
  });
}
"""


def test_the_thread_sanitizer_would_find_a_race(tmp_path):
    source = tmp_path / "race.cpp"
    source.write_text(RACE)
    program = compile_pool_smoke(tmp_path / "race", "thread", source)
    with pytest.raises(AssertionError, match="data race"):
        run(program, env={"TSAN_OPTIONS": "halt_on_error=1"})
