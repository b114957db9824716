"""What the built module is made with so that errors of memory are hard to use: see cmake/hardening.cmake."""

import sys

import elf
import pytest

from fastconv import _core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the module is no ELF file")


@pytest.fixture(scope="module")
def module():
    return elf.Elf(_core.__file__)


def test_the_module_exports_its_entry_alone(module):
    assert [s.name for s in module.symbols() if s.defined] == ["PyInit__core"]


def test_the_stack_is_not_executable(module):
    assert not module.segments()[elf.PT_GNU_STACK][1] & elf.PF_X


def test_what_is_bound_is_read_only(module):
    """All at load time, so that none of it has to stay writable: full RELRO."""
    dynamic = module.dynamic()
    assert dynamic.get(elf.DT_FLAGS, 0) & elf.DF_BIND_NOW or dynamic.get(elf.DT_FLAGS_1, 0) & elf.DF_1_NOW
    assert elf.PT_GNU_RELRO in module.segments()


def test_stacks_are_guarded_and_library_calls_checked(module):
    if _core.build_info()["build_type"] == "Debug":
        pytest.skip("checked calls need an optimising build")
    wanted = {s.name for s in module.symbols() if not s.defined}
    assert "__stack_chk_fail" in wanted
    assert any(name.endswith("_chk") for name in wanted), sorted(wanted)
