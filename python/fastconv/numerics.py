"""How large rounding errors may be: the error model behind the tests' tolerances and the figures of ``explain()``.

Errors are stated over the root mean square of the output, for inputs and weights of independent normal values, and in
units of the dtype's epsilon (2**-23 or 2**-52). n is the number of products behind one output, C // groups * R * S.

Sums of n products. The partial sum after i products has a standard deviation of sqrt(i) products. Rounding it to
nearest adds an error of 0.21 epsilon of its size, root mean square: a uniform error of half a unit in the last place,
1 / sqrt(12) of the unit, averaged over logarithmically distributed significands. Summed over i in quadrature,
0.21 * sqrt(n * n / 2) products; over the output's sqrt(n) products this is 0.15 * sqrt(n) epsilon. What does not grow
with n (rounding of products without FMA, of the bias and of the result) is within another 0.3. Algorithms that add up
blocks of a long sum separately (im2col, dense) stay below, down to a sixth of it at n in the thousands.

Winograd. hypot(constant, factor * sqrt(C // groups)) epsilon: sums over the channels grow like their root, the
transforms amplify them by a constant, and rounding in the transforms themselves does not grow. The constants are fits
to errors measured for 1 to 512 channels; they stand in the table of variants, cpp/winograd/variant.cpp.

The reference sums in double precision: in float32 only the rounding of the result is left.
"""

from __future__ import annotations

import math

import numpy as np

from fastconv import _core
from fastconv._core import Problem

# The largest of M errors over their root mean square. Were they normal, it would be near sqrt(2 * L), with L = ln M.
# They grow with the products that make them, whose tails are exponential: these add L over the root of the number of
# terms, as in Bernstein's inequality. It shows in Winograd with one channel per group: there 21 was seen among 1600
# errors, and plain NumPy float64 arithmetic with the same transforms is about as far off at the same place. Bounds take
# three times the sum.
TAIL = 3.0


# What ``accuracy=`` names, as limits of the expected error in epsilons. "balanced" is 3e-6 in float32, the largest
# errors then near 3e-5; "strict" leaves plain sums alone.
ACCURACIES = {"strict": 0.0, "balanced": 25.0, "fast": 250.0}


def expected_error(algorithm: str, problem: Problem) -> float:
    """Root mean square of the errors, over that of the output.

    Args:
        algorithm: A name from :func:`fastconv.algorithms`, which accepts the layer.
        problem: The layer.
    Returns:
        A ratio, about 1e-7 to 1e-5 in float32.
    """
    epsilon = float(np.finfo(problem.dtype).eps)
    if algorithm == "reference" and problem.dtype == "float32":
        return 0.25 * epsilon
    epsilons = _core.expected_error(algorithm, problem)
    if epsilons is None:
        n = problem.C // problem.groups * problem.R * problem.S
        epsilons = 0.3 + 0.15 * math.sqrt(n)
    return epsilon * epsilons


def error_bound(algorithm: str, problem: Problem) -> float:
    """What errors may reach, over the root mean square of the output: for tests, tight enough to fail.

    It holds with high probability for normal data, not for all data: no such bound relative to the mean output exists.

    Args:
        algorithm: A name from :func:`fastconv.algorithms`, which accepts the layer.
        problem: The layer.
    Returns:
        A ratio. Of :func:`expected_error` it is 12 to 20 times for sums of many terms, up to 70 times for a single one;
        the more outputs, the larger the largest of their errors.
    """
    terms = problem.C // problem.groups
    if algorithm != "winograd":
        terms *= problem.R * problem.S
    return _largest_over_rms(problem, terms) * expected_error(algorithm, problem)


def error_limit(problem: Problem, max_error: float) -> float:
    """The expected error, in epsilons, at which Winograd's bound is `max_error`, a ratio to the output's rms."""
    epsilon = float(np.finfo(problem.dtype).eps)
    return max_error / (_largest_over_rms(problem, problem.C // problem.groups) * epsilon)


def _largest_over_rms(problem: Problem, terms: int) -> float:
    log = math.log(max(problem.N * problem.K * problem.P * problem.Q, 3000))
    return TAIL * (math.sqrt(2 * log) + log / math.sqrt(terms))
