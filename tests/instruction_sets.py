"""Which kernels the build has, and which of them this CPU cannot run: what passes here says nothing about those."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from fastconv import _core

WHOLE_NUMBERS = {"scalar": "dot_scalar", "avx2": "dot_avx2", "avx512": "dot_vnni"}
"""Units of kernels for bytes, by the instruction set that they are compiled with."""

NEEDS = {"dot_vnni": "avx512_vnni"}
"""What such a unit needs of the CPU beyond that instruction set, as `cpu_info` names it."""


@dataclass(frozen=True)
class Kernels:
    """Units of kernels of a build.

    Attributes:
        compiled: All of them.
        left_out: Those that the CPU cannot run.
    """

    compiled: tuple[str, ...]
    left_out: tuple[str, ...]

    @staticmethod
    def of(compiled: Sequence[str], available: Collection[str], features: Collection[str]) -> Kernels:
        """From the instruction sets of a build, and those and the further features of a CPU."""
        dots = {WHOLE_NUMBERS[isa]: isa for isa in compiled}
        left_out = [isa for isa in compiled if isa not in available]
        left_out += [
            dot for dot, isa in dots.items() if isa not in available or (dot in NEEDS and NEEDS[dot] not in features)
        ]
        return Kernels((*compiled, *dots), tuple(left_out))

    @staticmethod
    def here() -> Kernels:
        return Kernels.of(_core.compiled_isas(), _core.available_isas(), _core.cpu_info()["features"])

    def lines(self) -> Iterator[str]:
        """What the summary of a test run says."""
        runnable = [name for name in self.compiled if name not in self.left_out]
        if not self.left_out:
            yield f"kernels: this CPU can run all of this build: {', '.join(runnable)}"
            return
        yield f"kernels: NOT TESTED, as this CPU cannot run them: {', '.join(self.left_out)}"
        yield f"kernels: this CPU can run {', '.join(runnable)}"
