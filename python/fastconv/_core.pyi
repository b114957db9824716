"""The compiled core, as Python sees it. Arguments are checked here only as far as memory safety needs:
messages that name the user's own arguments come from :mod:`fastconv.arguments`.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, final, overload

import numpy as np
import numpy.typing as npt

from fastconv.context import Entry

_Array = npt.NDArray[np.floating[Any]]
_Integers = npt.NDArray[np.integer[Any]]
_Activation = tuple[str, float, float]

@final
class Problem:
    """One convolution layer: extents, geometry and dtype. Immutable, comparable, hashable, picklable.

    Letters: N images, C channels, H x W image, K filters, R x S kernel, P x Q output (derived).
    Raises ValueError if the extents make no layer, or if a size overflows 63 bits of bytes.
    """

    def __init__(
        self,
        dtype: str,
        N: int,
        C: int,
        H: int,
        W: int,
        K: int,
        R: int,
        S: int,
        stride_h: int = 1,
        stride_w: int = 1,
        pad_top: int = 0,
        pad_bottom: int = 0,
        pad_left: int = 0,
        pad_right: int = 0,
        dilation_h: int = 1,
        dilation_w: int = 1,
        groups: int = 1,
        layout: str = "NCHW",
        error_limit: float = 25.0,
        variant: int = -1,
    ) -> None: ...
    @property
    def error_limit(self) -> float:
        """Rounding errors that a faster algorithm may be expected to make: rms over that of the output, in epsilons."""
    def with_error_limit(self, limit: float, /) -> Problem:
        """The same layer with another error limit; ValueError below 0."""
    @property
    def variant(self) -> int:
        """The number of an algorithm's variant that is to run, whatever is expected of it; -1: it chooses."""
    def with_variant(self, number: int, /) -> Problem:
        """The same layer by one of :func:`variants`, for measurements."""
    @property
    def layout(self) -> str:
        """Either "NCHW" or "NHWC", of input and output; their shapes are in its order."""
    @property
    def dtype(self) -> str: ...
    @property
    def N(self) -> int: ...
    @property
    def C(self) -> int: ...
    @property
    def H(self) -> int: ...
    @property
    def W(self) -> int: ...
    @property
    def K(self) -> int: ...
    @property
    def R(self) -> int: ...
    @property
    def S(self) -> int: ...
    @property
    def P(self) -> int: ...
    @property
    def Q(self) -> int: ...
    @property
    def stride_h(self) -> int: ...
    @property
    def stride_w(self) -> int: ...
    @property
    def pad_top(self) -> int: ...
    @property
    def pad_bottom(self) -> int: ...
    @property
    def pad_left(self) -> int: ...
    @property
    def pad_right(self) -> int: ...
    @property
    def dilation_h(self) -> int: ...
    @property
    def dilation_w(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def input_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def weight_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def output_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def multiply_adds(self) -> int:
        """N*K*(C/groups)*R*S*P*Q, padded taps included."""
    @property
    def input_bytes(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def output_bytes(self) -> int: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...

class Operation:
    """What an operator can keep and call: a plan, or what is made of plans."""

    @property
    def packed_bytes(self) -> int:
        """Of weights, of all plans that it is made of."""

# Extent, taps, outputs, stride, dilation; pads before and after (of a transposed layer, outputs cut off).
_Axis = tuple[int, int, int, int, int, int, int]
_Triple = tuple[int, int, int]

@final
class Layer:
    """One layer of any operator: extents, and how filters lie along up to three axes. Immutable, comparable, hashable.

    kind: "forward", "transposed" or "weight_gradient". layout: "NCHW" for channels first, whatever the axes, or "NHWC".
    axes: the last ones of depth, height, width; those that are missing are one pixel of one tap. Raises ValueError if
    the numbers make no layer, or if a size overflows.
    """

    def __init__(
        self, kind: str, dtype: str, layout: str, N: int, C: int, K: int, groups: int, axes: Sequence[_Axis]
    ) -> None: ...
    @property
    def kind(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def layout(self) -> str: ...
    @property
    def N(self) -> int: ...
    @property
    def C(self) -> int: ...
    @property
    def K(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def extents(self) -> _Triple: ...
    @property
    def kernel(self) -> _Triple: ...
    @property
    def outputs(self) -> _Triple: ...
    @property
    def stride(self) -> _Triple: ...
    @property
    def dilation(self) -> _Triple: ...
    @property
    def before(self) -> _Triple: ...
    @property
    def output_bytes(self) -> int: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...

@final
class Lowering:
    """What a layer is made of: stages of convolutions of images."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of each part of each stage."""
    @property
    def layer(self) -> Layer:
        """As the stages see it: with fewer axes, where the arrays allow."""

def lower(layer: Layer, splits_depth: bool = False) -> Lowering:
    """Of a forward or transposed layer. splits_depth: planes near the edge apart, with the taps alone that they see."""

def depth_savings(layer: Layer, /) -> _Triple:
    """Of splitting the depth: products in depth, those with padding, weights that are packed more."""

@final
class Program:
    """A layer, its parts and the algorithm of each, for the ISA that was active when it was made; no weights.

    choices: (algorithm, variant, error_limit) of each of the lowering's problems. activation: None or (kind, a, b),
    kind one of "clip" (a <= y <= b), "leaky_relu" (slope a), "hardswish", "sigmoid", "silu", "tanh".
    Raises ValueError if an algorithm rejects its part.
    """

    def __init__(
        self, lowering: Lowering, choices: list[tuple[str, int, float]], activation: _Activation | None = None
    ) -> None: ...
    def __call__(
        self, x: _Array, weight: _Array, bias: _Array | None, out: _Array, residual: _Array | None = None
    ) -> None:
        """Pack the weights, run, forget the weights. Arrays: C-contiguous, aligned, of as many values as the layer has.

        residual: like out, added before the activation; it may be out itself.
        """
    @property
    def lowering(self) -> Lowering: ...
    @property
    def algorithms(self) -> tuple[str, ...]:
        """Of each part."""
    @property
    def isa(self) -> str: ...
    @property
    def packed_bytes(self) -> int: ...
    def workspace_bytes(self, prepared: bool, adds: bool = False) -> int:
        """Scratch memory of one call with the present number of threads; adds: of one whose residual is its output."""
    def cost(self, prepared: bool) -> float:
        """Estimated microseconds of one thread."""

@final
class Plan(Operation):
    """A program and its packed weights: everything that is done once.

    From a program, or from one convolution of images and its algorithm. Raises ValueError if the algorithm rejects it.
    """

    @overload
    def __init__(self, program: Program, weight: _Array, bias: _Array | None = None) -> None: ...
    @overload
    def __init__(
        self,
        problem: Problem,
        algorithm: str,
        weight: _Array,
        bias: _Array | None = None,
        activation: _Activation | None = None,
    ) -> None: ...
    def __call__(self, x: _Array, out: _Array | None = None, residual: _Array | None = None) -> _Array:
        """Arrays as for a Program."""
    @property
    def problem(self) -> Problem:
        """Of its first part."""
    @property
    def algorithm(self) -> str:
        """Likewise."""
    @property
    def program(self) -> Program: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def workspace_bytes(self) -> int:
        """Scratch memory of one call with the present number of threads."""

@final
class IntegerPlan:
    """A convolution of whole numbers of 8 bits, exactly; filters packed once.

    weight: (K, C // groups, R, S), int8 or uint8. weight_zero, bias: K numbers, int32. requantization: K scales,
    float32; what stands for 0 in the output; whether that is int8, else uint8. Raises ValueError for a zero point that
    is not of its type.
    """

    def __init__(
        self,
        problem: Problem,  # its dtype is not looked at
        input_signed: bool,
        weight: _Integers,
        input_zero: int,
        weight_zero: _Integers,
        bias: _Integers | None,
        requantization: tuple[_Array, int, bool] | None,
    ) -> None: ...
    def __call__(self, x: _Integers, out: _Integers | None = None) -> _Integers: ...
    @property
    def problem(self) -> Problem: ...
    @property
    def isa(self) -> str: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int: ...

def spread_product(
    layer: Layer,
    activation: _Activation | None,
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    out: _Array,
    /,
) -> None:
    """A transposed layer as one product with its weights as they lie: for weights used once."""

class Operator:
    """The call of an operator, and the plans it keeps by shapes of inputs.

    A subclass has a method ``_checked_call`` of the same arguments for all calls that no kept plan takes as they are.
    """

    def __call__(
        self,
        x: npt.ArrayLike,
        out: npt.NDArray[Any] | None = None,
        *,
        residual: npt.ArrayLike | None = None,
        accumulate: bool = False,
    ) -> npt.NDArray[Any]: ...
    _recipe: Any
    """What plans follow from. Setting it drops all plans; AttributeError before it is set."""
    def _keep(
        self,
        recipe: object,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        plan: object,
        bytes: int,
        least: int,
        most: int,
        /,
    ) -> None:
        """From now on, arrays of this shape go to the plan as they are, if it is an :class:`Operation`.

        Those used last stay: `least` of them, and more as long as their bytes, as they were said, are at most `most`.
        Nothing happens if the operator has another recipe by now. ValueError if the plan is not one for these shapes.
        """
    def _kept(self, recipe: object, input_shape: tuple[int, ...], /) -> Any:
        """The plan of this recipe for inputs of this shape, or None."""
    def _run_at(self, input_shape: tuple[int, ...], input_address: int, output_address: int, /) -> bool:
        """Run the plan for inputs of this shape on plain memory of the right sizes, apart; False if there is none."""
    def _plans(self) -> int:
        """How many there are."""
    def _plan_bytes(self) -> int: ...

# --- the registry -------------------------------------------------------------------------------------------
def algorithms() -> tuple[str, ...]: ...
def summary(algorithm: str) -> str: ...
def rejects(algorithm: str, problem: Problem) -> str | None:
    """Why the algorithm does not accept the problem, or None."""

def variant(algorithm: str, problem: Problem) -> str:
    """The inner choice an algorithm makes for a problem, e.g. "F(4x4,3x3)" or "channel lanes"; "" if it has none."""

def cost(algorithm: str, problem: Problem, prepared: bool = True) -> float:
    """Estimated microseconds of one thread with the present ISA; prepared=False adds packing the weights."""

def variants(algorithm: str, problem: Problem) -> dict[str, int]:
    """Names of the variants that could run a problem, whatever is expected of them, and their numbers."""

def details(algorithm: str, problem: Problem) -> str | None:
    """What the variant is made of and why not another, in words; None if there is no more to say than its name."""

def expected_error(algorithm: str, problem: Problem) -> float | None:
    """Rms of the rounding errors over that of the output, in epsilons; None if it is that of a plain sum."""

def multiply_adds(algorithm: str, problem: Problem) -> int:
    """Multiplications that an algorithm does, those of transforms not counted."""

def packed_bytes(algorithm: str, problem: Problem) -> int:
    """Bytes of the weights in the algorithm's own order."""

def workspace_bytes(algorithm: str, problem: Problem) -> int:
    """Exact scratch bytes of one call with the present ISA and number of threads, packed weights not included."""

# --- the remembered call ------------------------------------------------------------------------------------
def remembered_call(
    name: str,
    input: object,
    weight: object,
    bias: object,
    out: object,
    residual: object,
    accumulate: object,
    /,
    *options: object,
) -> Any:
    """Run a call like one that was remembered, or return NotImplemented. Never raises for bad arguments."""

def remember(
    program: Program,
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    name: str,
    has_bias: bool,
    added: int,
    options: tuple[object, ...],
    /,
) -> None:
    """From now on, calls of that name with arrays of these shapes and these options run the program.

    shapes: of input, weight and output. added: 0 for nothing, 1 for a residual apart, 2 for the output itself. Options
    that make no key are ignored.
    """

def run_once(
    problem: Problem,
    algorithm: str,
    activation: _Activation | None,
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    out: _Array | None,
    residual: _Array | None = None,
    /,
) -> _Array:
    """Pack the weights, run, forget the weights."""

def weight_gradient(problem: Problem, x: _Array, gradient: _Array, out: _Array | None, /) -> _Array:
    """Of a convolution, from its input and the gradient of its output: (K, C // groups, R, S)."""

def forget() -> None:
    """Empty the memory of remembered calls."""

def remembered() -> int: ...

# --- machine, ISA, threads ----------------------------------------------------------------------------------
def available_isas() -> tuple[str, ...]:
    """Those compiled in that this CPU and operating system can run, best last: e.g. ("scalar", "avx2", "avx512")."""

def compiled_isas() -> tuple[str, ...]: ...
def get_isa() -> str:
    """Of this context."""

def set_isa(name: str) -> None:
    """For the whole process. ValueError if the name is unknown or the CPU cannot run it."""

def get_num_threads() -> int:
    """Of this context."""

def idle_bytes() -> int:
    """Of workspace that calls have left for the next ones."""

def most_idle_bytes() -> int: ...
def fingerprint(address: int, bytes: int) -> int:
    """64 bits of the bytes at an address, which must be readable."""

def release_memory() -> int: ...
def set_num_threads(n: int) -> None:
    """For the whole process; 1 <= n <= 256."""

def default_num_threads() -> int:
    """From FASTCONV_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use (affinity, cgroup quota)."""

def threads_in_environment(name: str) -> int:
    """What a variable says, alone or first in a list; 0 if it is not set or no number of at least 1."""

settings: ContextVar[tuple[int, int, tuple[Entry, ...]]]
"""Threads (0: the process's), place of the ISA in compiled_isas() (-1: the process's), and what these are made from."""

def cpu_info() -> dict[str, Any]:
    """Has "vendor", "brand", "features" (list), "l1d_bytes", "l2_bytes", "l3_bytes", "usable_cpus"."""

def build_info() -> dict[str, str]:
    """Has "version", "compiler", "build_type"."""

# --- measurement --------------------------------------------------------------------------------------------
def gemm(a: _Array, b: _Array, out: _Array | None = None) -> _Array:
    """Product a @ b by the core's own GEMM, packing of both operands included. 2-D, C-contiguous, one dtype."""

def fma_peak(dtype: str, seconds: float, /) -> float:
    """GFLOP/s of independent FMAs in registers, present ISA and threads; best interval of a run of `seconds`."""

def bandwidth(kind: str, bytes: int, seconds: float, /) -> float:
    """GB/s over `bytes` per thread; kind "read", "write" or "copy" (bytes read plus bytes written)."""
