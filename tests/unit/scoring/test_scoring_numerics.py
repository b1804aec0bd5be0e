"""Java's special functions, random numbers and eigenvalues, beside what Java itself computed.

The constants were computed with the jars that PySpark 4.2.0 brings: commons-math3 3.6.1, breeze 2.1.0,
arpack_combined_all 0.1, on OpenJDK 17.
"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from wmlclient.scoring.java.gamma_draws import gamma_draws
from wmlclient.scoring.java.lapack import NotComputed, eigen
from wmlclient.scoring.java.maths import less, power
from wmlclient.scoring.java.special import digamma, erf, normal_cdf

INFINITY, NAN = math.inf, math.nan
SEED = 1421925485  # "org.apache.spark.ml.clustering.LocalLDAModel".hashCode()

ERF = [
    (1e-05, 1.1283791670578994e-05),
    (0.1, 0.11246291601828491),
    (0.5, 0.5204998778130466),
    (0.9, 0.7969082124228323),
    (1.2, 0.9103139782296353),
    (1.3, 0.9340079449406525),
    (2.0, 0.9953222650189527),
    (3.5, 0.9999992569016276),
    (5.0, 0.9999999999984626),
    (6.5, 1.0),
    (12.0, 1.0),
]
DIGAMMA = [
    (1e-06, -1000000.5772156649),
    (1e-05, -100000.57721566489),
    (2e-05, -50000.577182769586),
    (0.01, -100.56088546075685),
    (0.5, -1.963510028796937),
    (1.0, -0.5772156677920679),
    (2.5, 0.7031566378697297),
    (10.25, 2.2777047878544283),
    (48.5, 3.8712190912498263),
    (49.0, 3.8815815072720508),
    (1000.0, 6.907255195648795),
    (10000000000.0, 23.025850929890456),
    (-0.5, 0.036489971203063076),
    (-7.25, 5.189977212236139),
]
DRAWS = [
    1.1087889344105906,
    0.8618287373694173,
    0.9767380018006188,
    1.1158035200628527,
    1.2185643025721586,
    1.1933691000521032,
    0.8833923880000105,
    0.8197144009314555,
    1.12086381200318,
    1.0875131995954674,
    1.0341749813182155,
    0.9017030106512295,
]
MATRIX = [[4.0, 1.0, -2.0, 0.5], [1.0, 3.0, 0.25, -0.1], [-2.0, 0.25, 5.0, 1.5], [0.5, -0.1, 1.5, 2.0]]
VALUES = [0.6289498458485149, 2.56199066788099, 4.031987863950726, 6.777071622319769]
VECTORS = [
    [0.4630108814320602, 0.37114910463194967, 0.5656795526807257, -0.5726044965640269],
    [-0.2741935464680145, -0.740479056709125, 0.6046704921528102, -0.10431807882690194],
    [0.4680806810880128, 0.03639820951012792, 0.3932137693753478, 0.7905432169782176],
    [-0.7009559891626443, 0.5591191993220437, 0.39970385433748795, 0.1904816291253616],
]


@pytest.mark.parametrize(("x", "wanted"), ERF)
def test_the_error_function(x: float, wanted: float) -> None:
    assert abs(erf(x) - wanted) <= math.ulp(wanted)
    assert erf(-x) == -erf(x)


def test_the_error_function_at_its_ends() -> None:
    assert [erf(x) for x in (0.0, INFINITY, -INFINITY, 41.0, -41.0, 1e-200)] == [
        0.0,
        1.0,
        -1.0,
        1.0,
        -1.0,
        0.0,
    ]
    assert math.isnan(erf(NAN))
    assert normal_cdf(0.0) == 0.5
    assert math.isnan(normal_cdf(NAN))


@pytest.mark.parametrize(("x", "wanted"), DIGAMMA)
def test_digamma(x: float, wanted: float) -> None:
    assert abs(float(digamma(x)) - wanted) <= 2.0 * math.ulp(wanted)


def test_digamma_is_wrong_as_in_java() -> None:
    # The exact value differs in the ninth digit.
    exact = math.log(49.0) - 0.5 / 49.0 - 1.0 / (12.0 * 49.0**2) + 1.0 / (120.0 * 49.0**4)
    assert 1e-9 < abs(float(digamma(49.0)) - exact) < 1e-8


def test_digamma_of_many_is_digamma_of_each() -> None:
    chance = random.Random(1)
    values = [10.0 ** chance.uniform(-7.0, 5.0) for _ in range(5000)]
    values += [0.0, -0.0, -1.0, -2.5, -3000.5, 1e-5, 1e-6, NAN, INFINITY, -INFINITY, 1e300, 49.0, 48.9]
    many = digamma(np.array(values))
    assert repr(many.tolist()) == repr([float(digamma(value)) for value in values])
    assert digamma(np.ones((2, 3))).shape == (2, 3)


def test_digamma_goes_only_so_far_down() -> None:
    with pytest.raises(OverflowError):
        digamma(np.array([1.0, -1e6]))


def test_gamma_draws_are_those_of_java() -> None:
    assert gamma_draws(100.0, 1.0 / 100.0, len(DRAWS), SEED) == DRAWS
    assert gamma_draws(100.0, 1.0 / 100.0, 3, -7) != gamma_draws(100.0, 1.0 / 100.0, 3, 7)


def test_eigenvectors_are_those_of_java() -> None:
    values, vectors = eigen(MATRIX)
    assert values == VALUES
    assert vectors.tolist() == VECTORS


@pytest.mark.parametrize("size", [1, 2, 3, 6, 17, 40])
@pytest.mark.parametrize("kind", ["full", "flat", "diagonal", "graded", "zero"])
def test_eigenvectors_put_the_matrix_together_again(size: int, kind: str) -> None:
    generator = np.random.RandomState(size)
    root = generator.standard_normal((size, size if kind == "full" else max(1, size // 2)))
    matrix = root @ root.T
    if kind == "diagonal":
        matrix = np.diag(generator.standard_normal(size))
    elif kind == "graded":
        scales = 10.0 ** np.linspace(0.0, -12.0, size)
        matrix = scales[:, None] * (matrix + np.eye(size)) * scales
    elif kind == "zero":
        matrix = np.zeros((size, size))
    values, vectors = eigen(matrix)
    assert values == sorted(values)
    again = vectors * np.array(values) @ vectors.T
    assert np.abs(again - np.tril(matrix) - np.tril(matrix, -1).T).max() <= 1e-12 * max(
        1.0, np.abs(matrix).max()
    )
    assert np.abs(vectors.T @ vectors - np.eye(size)).max() <= 1e-12


@pytest.mark.parametrize("value", [NAN, INFINITY, 1e200, 1e-200])
def test_extreme_matrices_are_refused(value: float) -> None:
    with pytest.raises(NotComputed):
        eigen([[value, 0.0], [value, value]])


@pytest.mark.parametrize(
    ("base", "exponent", "wanted"),
    [
        (2.0, 0.5, math.sqrt(2.0)),
        (0.0, -1.0, INFINITY),
        (-0.0, -1.0, -INFINITY),
        (-0.0, -2.0, INFINITY),
        (0.0, -0.5, INFINITY),
        (-2.0, 0.5, NAN),
        (-10.0, 401.0, -INFINITY),
        (-10.0, 400.0, INFINITY),
        (10.0, 400.5, INFINITY),
        (1.0, INFINITY, NAN),
        (-1.0, -INFINITY, NAN),
        (1.0, NAN, NAN),
        (NAN, 0.0, 1.0),
        (INFINITY, -1.0, 0.0),
        (1e-200, 2.0, 0.0),
    ],
)
def test_powers(base: float, exponent: float, wanted: float) -> None:
    assert repr(power(base, exponent)) == repr(wanted)


def test_the_order_of_doubles() -> None:
    ascending = [-INFINITY, -1.0, -0.0, 0.0, 5e-324, 1.0, INFINITY, NAN]
    for left, x in enumerate(ascending):
        for right, y in enumerate(ascending):
            assert less(x, y) == (left < right)
