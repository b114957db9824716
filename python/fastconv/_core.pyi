"""The compiled core, as Python sees it. Arguments are checked here only as far as memory safety needs:
messages that name the user's own arguments come from :mod:`fastconv.arguments`.
"""

from contextvars import ContextVar
from typing import Any, final

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

@final
class Plan(Operation):
    """A problem, an algorithm, an ISA and packed weights: everything that is done once.

    activation: None or (kind, a, b), kind one of "clip" (a <= y <= b), "leaky_relu" (slope a),
    "hardswish", "sigmoid", "silu", "tanh".
    Raises ValueError if the algorithm rejects the problem.
    """

    def __init__(
        self,
        problem: Problem,
        algorithm: str,
        weight: _Array,
        bias: _Array | None = None,
        activation: _Activation | None = None,
    ) -> None: ...
    def __call__(self, x: _Array, out: _Array | None = None, residual: _Array | None = None) -> _Array:
        """x, out: C-contiguous, aligned, of the problem's exact shape and dtype; else ValueError/TypeError.

        residual: like out, added before the activation; it may be out itself.
        """
    @property
    def problem(self) -> Problem: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int:
        """Scratch memory of one call with the present number of threads."""

# Of an output along an axis: (first, step, count, skip), and along its rows and columns.
_PhaseAxis = tuple[int, int, int, int]
_Phase = tuple[_PhaseAxis, _PhaseAxis]
_Triple = tuple[int, int, int]

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

@final
class InterleavedPlan(Operation):
    """Plans whose outputs lie interleaved: the phases of a transposed convolution.

    Of a phase, output first + i * step is value skip + i of its plan. Of a plan's filters in each group, the first K /
    groups belong to its first phase, and so on. extents are N, K, P, Q; dtype and layout are those of `like`. Outputs
    of the phases `blank` become the activation, the plans' own, of the bias. Every plan takes a divisor of N images.
    Raises ValueError if a phase leaves its plan or the output.
    """

    def __init__(
        self,
        like: Problem,
        extents: tuple[int, int, int, int],
        plans: list[tuple[Plan, list[_Phase]]],
        blank: list[_Phase],
        bias: _Array | None,
        activation: _Activation | None,
    ) -> None: ...
    def __call__(self, x: _Array, out: _Array | None = None, residual: _Array | None = None) -> _Array:
        """x, out, residual: as for Plan."""
    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of the plans."""
    @property
    def packed_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int:
        """Of outputs before they are interleaved; the plans have theirs beside it."""

@final
class StackedPlan(Operation):
    """A convolution of volumes as ones of images, whose channels are all the planes that a plane of outputs looks at.

    extents: N, C, D, H * W; K, planes of the output, P * Q; groups. Of a phase: the operation, None for planes that
    see no tap, and (first, step, count, portion, taps, start, plane_step, tap_step): planes first + j * step, j <
    count, by an operation on `portion` images; tap m of plane j is input plane start + j * plane_step + m * tap_step.
    """

    def __init__(
        self,
        like: Problem,
        extents: tuple[int, int, int, int, int, int, int, int],
        phases: list[tuple[Plan | InterleavedPlan | None, tuple[int, int, int, int, int, int, int, int]]],
        bias: _Array | None,
        activation: _Activation | None,
    ) -> None: ...
    def __call__(self, x: _Array, out: _Array | None = None, residual: _Array | None = None) -> _Array:
        """x: (N, C, D, H * W), out, residual: (N, K, planes, P * Q), or channels last; else as for Plan."""
    @property
    def packed_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int: ...

def phase_filters(
    weight: _Array, groups: int, rows: tuple[tuple[int, ...], ...], columns: tuple[tuple[int, ...], ...], /
) -> _Array:
    """A transposed convolution's weights (C, K // groups, R, S) as filters of a plan: each group's, phase by phase."""

def run_phase_once(
    problem: Problem,
    algorithm: str,
    activation: tuple[str, float, float] | None,
    x: _Array,
    weight: _Array,
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    bias: _Array | None,
    out: _Array | None,
    residual: _Array | None,
    /,
) -> _Array:
    """run_once with the filters that phase_filters makes for one phase, in workspace."""

def spread_product(
    layout: str,
    sizes: tuple[int, int, int, int],
    axes: tuple[_Triple, _Triple, _Triple, _Triple, _Triple, _Triple],
    activation: tuple[str, float, float] | None,
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    out: _Array | None,
    /,
) -> _Array:
    """A transposed convolution as one product with its weights as they lie: for weights used once.

    sizes: N, C, K, groups. axes, depth first: extents, kernel, outputs, stride, dilation, outputs cut off in front.
    Arrays are (N, C, D, H * W), (C, K // groups, taps), (K,) and (N, K, planes, P * Q), or channels last.
    """

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
    input: object,
    weight: object,
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    algorithm: object,
    layout: object,
    activation: object,
    out: object,
    workspace_limit: object,
    accuracy: object,
    max_error: object,
    residual: object,
    accumulate: object,
    /,
) -> Any:
    """Run a call like one that was remembered, or return NotImplemented. Never raises for bad arguments."""

def remember(
    problem: Problem,
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    has_bias: bool,
    chosen: str,
    spec: _Activation | None,
    options: tuple[object, ...],
    /,
) -> None:
    """From now on, calls with arrays of these shapes (input, weight, output) and these options run `chosen`.

    options: what follows `bias` in :func:`remembered_call`, without `out`. Options that make no key are ignored.
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
