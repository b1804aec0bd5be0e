"""Eigenvalues of a symmetric matrix by LAPACK's ``dsyev``, step by step as the Java translation of it runs.

Spark computes the density of a Gaussian with them, and the last bits of a covariance's eigenvectors are magnified
where the covariance is close to singular. Another routine, NumPy's for one, would give other last bits.

Source: ``org.netlib.lapack`` (f2j, LAPACK 3.1) and ``org.netlib.blas``: ``dsytd2``, ``dorg2r``, ``dsteqr``, with the
workspace that Breeze gives, which keeps all of them unblocked. A JVM with a native LAPACK takes another way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Floats

_EPS = 2.0**-53
_EPS2 = _EPS * _EPS
_SAFE_MIN = 2.0**-1022
_SMALLEST, _LARGEST = 1e-121, 1e145
"""Between them no scaling takes place, here or in LAPACK."""
_MAX_SWEEPS = 30


class NotComputed(ArithmeticError):
    """The eigenvalues were not found; the text says why."""


def eigen(matrix: Any) -> tuple[list[float], Floats]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    Args:
        matrix: Rows of a symmetric matrix, shape (n, n); what is above the diagonal is not looked at.

    Returns:
        The eigenvalues, and the eigenvectors as columns, shape (n, n).

    Raises:
        NotComputed: A value is not finite, or too large or small, or the iteration does not converge.
    """
    a = np.array(np.tril(np.array(matrix, dtype=np.float64)), order="F")
    n = len(a)
    if n == 1:
        return [float(a[0, 0])], np.ones((1, 1))
    largest = float(np.abs(a).max())
    if not np.isfinite(a).all() or (largest and not _SMALLEST < largest < _LARGEST):
        raise NotComputed(f"the matrix has values of a size {largest}")
    d, e, tau = _tridiagonal(a)
    _accumulate(a, tau)
    _implicit(d, e, a)
    return d, a


def _total(values: Floats) -> float:
    """The sum, one after the other."""
    return float(np.add.accumulate(values)[-1]) + 0.0 if len(values) else 0.0


def _norm(values: list[float]) -> float:
    """``dnrm2``."""
    if len(values) == 1:
        return abs(values[0])
    scale, squares = 0.0, 1.0
    for value in values:
        if value != 0.0:
            size = abs(value)
            if scale < size:
                squares = 1.0 + squares * ((scale / size) * (scale / size))
                scale = size
            else:
                squares += (size / scale) * (size / scale)
    return scale * math.sqrt(squares)


def _hypot(x: float, y: float) -> float:
    """``dlapy2``."""
    big, small = max(abs(x), abs(y)), min(abs(x), abs(y))
    return big if small == 0.0 else big * math.sqrt(1.0 + (small / big) * (small / big))


def _signed(size: float, like: float) -> float:
    return abs(size) if like >= 0.0 else -abs(size)


def _tridiagonal(a: Floats) -> tuple[list[float], list[float], list[float]]:
    """``dsytd2``, lower: the diagonal, what is beside it, and the factors of the reflectors, which it leaves in a."""
    n = len(a)
    d, e, taus = [0.0] * n, [0.0] * (n - 1), [0.0] * (n - 1)
    for i in range(n - 1):
        alpha = float(a[i + 1, i])
        norm = _norm(a[i + 2 :, i].tolist()) if i + 2 < n else 0.0
        tau = 0.0
        if norm != 0.0:
            beta = -_signed(_hypot(alpha, norm), alpha)
            if abs(beta) < _SAFE_MIN / _EPS:
                raise NotComputed("the matrix is too close to a diagonal one")
            tau = (beta - alpha) / beta
            a[i + 2 :, i] *= 1.0 / (alpha - beta)
            alpha = beta
        e[i] = alpha
        if tau != 0.0:
            a[i + 1, i] = 1.0
            v = a[i + 1 :, i].copy()
            w = _symmetric_product(a[i + 1 :, i + 1 :], v, tau)
            w += -(0.5 * tau * _total(w * v)) * v
            _rank_two(a[i + 1 :, i + 1 :], v, w)
            a[i + 1, i] = e[i]
        d[i] = float(a[i, i])
        taus[i] = tau
    d[n - 1] = float(a[n - 1, n - 1])
    return d, e, taus


def _symmetric_product(a: Floats, x: Floats, alpha: float) -> Floats:
    """``dsymv``, lower: ``alpha * a @ x``."""
    y: Floats = np.zeros(len(x))
    for j in range(len(x)):
        first = alpha * x[j]
        y[j] += first * a[j, j]
        y[j + 1 :] += first * a[j + 1 :, j]
        y[j] += alpha * _total(a[j + 1 :, j] * x[j + 1 :])
    return y


def _rank_two(a: Floats, x: Floats, y: Floats) -> None:
    """``dsyr2``, lower, with alpha -1."""
    for j in range(len(x)):
        if x[j] != 0.0 or y[j] != 0.0:
            first, second = -1.0 * y[j], -1.0 * x[j]
            a[j:, j] = a[j:, j] + x[j:] * first + y[j:] * second


def _accumulate(a: Floats, taus: list[float]) -> None:
    """``dorgtr`` and ``dorg2r``, lower: the orthogonal matrix of the reflectors, in place of them."""
    n = len(a)
    a[1:, 1:] = np.array(a[1:, :-1])
    a[0, :] = 0.0
    a[1:, 0] = 0.0
    a[0, 0] = 1.0
    q = a[1:, 1:]
    m = n - 1
    for i in range(m - 1, -1, -1):
        tau = taus[i]
        if i < m - 1:
            q[i, i] = 1.0
            if tau != 0.0:
                v = q[i:, i].copy()
                for j in range(i + 1, m):
                    product = _total(q[i:, j] * v)
                    if product != 0.0:
                        q[i:, j] += v * (-tau * product)
            q[i + 1 :, i] *= -tau
        q[i, i] = 1.0 - tau
        q[:i, i] = 0.0


def _rotation(f: float, g: float) -> tuple[float, float, float]:
    """``dlartg``: cosine, sine, and the length; no scaling, as nothing is of an extreme size."""
    if g == 0.0:
        return 1.0, 0.0, f
    if f == 0.0:
        return 0.0, 1.0, g
    scale = 1.0
    f1, g1 = f, g
    # Scaling by powers of two loses nothing, and keeps the squares of tiny values.
    while max(abs(f1), abs(g1)) <= 2.0**-484:
        f1, g1, scale = f1 * 2.0**484, g1 * 2.0**484, scale * 2.0**-484
    r = math.sqrt(f1 * f1 + g1 * g1)
    cosine, sine = f1 / r, g1 / r
    r *= scale
    if abs(f) > abs(g) and cosine < 0.0:
        return -cosine, -sine, -r
    return cosine, sine, r


def _two_by_two(a: float, b: float, c: float) -> tuple[float, float, float, float]:
    """``dlaev2``: the eigenvalues, larger first in size, and the cosine and sine of the first eigenvector."""
    total, gap, twice = a + c, a - c, b + b
    size, both = abs(gap), abs(twice)
    larger, smaller = (a, c) if abs(a) > abs(c) else (c, a)
    if size > both:
        root = size * math.sqrt(1.0 + (both / size) * (both / size))
    elif size < both:
        root = both * math.sqrt(1.0 + (size / both) * (size / both))
    else:
        root = both * math.sqrt(2.0)
    sign = 1
    if total < 0.0:
        first = 0.5 * (total - root)
        sign = -1
        second = larger / first * smaller - b / first * b
    elif total > 0.0:
        first = 0.5 * (total + root)
        second = larger / first * smaller - b / first * b
    else:
        first, second = 0.5 * root, -(0.5 * root)
    other = 1 if gap >= 0.0 else -1
    part = gap + root if gap >= 0.0 else gap - root
    if abs(part) > both:
        ratio = -(twice / part)
        sine = 1.0 / math.sqrt(1.0 + ratio * ratio)
        cosine = ratio * sine
    elif both == 0.0:
        cosine, sine = 1.0, 0.0
    else:
        ratio = -(part / twice)
        cosine = 1.0 / math.sqrt(1.0 + ratio * ratio)
        sine = ratio * cosine
    if sign == other:
        cosine, sine = -sine, cosine
    return first, second, cosine, sine


def _rotate(z: Floats, first: int, rotations: list[tuple[float, float]], backward: bool) -> None:
    """``dlasr`` from the right: the columns from ``first`` on are turned pair by pair."""
    order = range(len(rotations) - 1, -1, -1) if backward else range(len(rotations))
    for number in order:
        cosine, sine = rotations[number]
        if cosine != 1.0 or sine != 0.0:
            j = first + number
            right = z[:, j + 1].copy()
            z[:, j + 1] = cosine * right - sine * z[:, j]
            z[:, j] = sine * right + cosine * z[:, j]


def _implicit(d: list[float], e: list[float], z: Floats) -> None:
    """``dsteqr``: implicit QL or QR steps on each block, then the eigenvalues in ascending order."""
    n = len(d)
    budget = [n * _MAX_SWEEPS]
    start = 0
    while start < n:
        if start > 0:
            e[start - 1] = 0.0
        end = n - 1
        for m in range(start, n - 1):
            size = abs(e[m])
            if size == 0.0:
                end = m
                break
            if size <= math.sqrt(abs(d[m])) * math.sqrt(abs(d[m + 1])) * _EPS:
                e[m] = 0.0
                end = m
                break
        low, high = start, end
        start = end + 1
        if high == low:
            continue
        norm = _block_norm(d, e, low, high)
        if norm == 0.0:
            continue
        if not _SMALLEST < norm < _LARGEST:
            raise NotComputed(f"a block of the matrix has values of a size {norm}")
        if abs(d[high]) < abs(d[low]):
            _qr(d, e, z, high, low, budget)
        else:
            _ql(d, e, z, low, high, budget)
        if budget[0] <= 0 and any(e):
            raise NotComputed("the iteration does not converge")
    for i in range(n - 1):
        least = i
        for j in range(i + 1, n):
            if d[j] < d[least]:
                least = j
        if least != i:
            d[i], d[least] = d[least], d[i]
            z[:, [i, least]] = z[:, [least, i]]


def _block_norm(d: list[float], e: list[float], low: int, high: int) -> float:
    sides = [0.0, *(abs(e[i]) for i in range(low, high)), 0.0]
    return max(abs(d[low + i]) + sides[i] + sides[i + 1] for i in range(high - low + 1))


def _ql(d: list[float], e: list[float], z: Floats, low: int, high: int, budget: list[int]) -> None:
    while True:
        m = high
        for place in range(low, high):
            size = abs(e[place]) * abs(e[place])
            if size <= _EPS2 * abs(d[place]) * abs(d[place + 1]) + _SAFE_MIN:
                m = place
                break
        if m < high:
            e[m] = 0.0
        p = d[low]
        if m == low:
            low += 1
            if low <= high:
                continue
            return
        if m == low + 1:
            first, second, cosine, sine = _two_by_two(d[low], e[low], d[low + 1])
            _rotate(z, low, [(cosine, sine)], backward=True)
            d[low], d[low + 1] = first, second
            e[low] = 0.0
            low += 2
            if low <= high:
                continue
            return
        if budget[0] <= 0:
            return
        budget[0] -= 1
        g = (d[low + 1] - p) / (2.0 * e[low])
        r = _hypot(g, 1.0)
        g = d[m] - p + e[low] / (g + _signed(r, g))
        sine = cosine = 1.0
        p = 0.0
        rotations: list[tuple[float, float]] = [(1.0, 0.0)] * (m - low)
        for i in range(m - 1, low - 1, -1):
            f, b = sine * e[i], cosine * e[i]
            cosine, sine, r = _rotation(g, f)
            if i != m - 1:
                e[i + 1] = r
            g = d[i + 1] - p
            r = (d[i] - g) * sine + 2.0 * cosine * b
            p = sine * r
            d[i + 1] = g + p
            g = cosine * r - b
            rotations[i - low] = (cosine, -sine)
        _rotate(z, low, rotations, backward=True)
        d[low] = d[low] - p
        e[low] = g


def _qr(d: list[float], e: list[float], z: Floats, high: int, low: int, budget: list[int]) -> None:
    while True:
        m = low
        for place in range(high, low, -1):
            size = abs(e[place - 1]) * abs(e[place - 1])
            if size <= _EPS2 * abs(d[place]) * abs(d[place - 1]) + _SAFE_MIN:
                m = place
                break
        if m > low:
            e[m - 1] = 0.0
        p = d[high]
        if m == high:
            high -= 1
            if high >= low:
                continue
            return
        if m == high - 1:
            first, second, cosine, sine = _two_by_two(d[high - 1], e[high - 1], d[high])
            _rotate(z, high - 1, [(cosine, sine)], backward=False)
            d[high - 1], d[high] = first, second
            e[high - 1] = 0.0
            high -= 2
            if high >= low:
                continue
            return
        if budget[0] <= 0:
            return
        budget[0] -= 1
        g = (d[high - 1] - p) / (2.0 * e[high - 1])
        r = _hypot(g, 1.0)
        g = d[m] - p + e[high - 1] / (g + _signed(r, g))
        sine = cosine = 1.0
        p = 0.0
        rotations: list[tuple[float, float]] = []
        for i in range(m, high):
            f, b = sine * e[i], cosine * e[i]
            cosine, sine, r = _rotation(g, f)
            if i != m:
                e[i - 1] = r
            g = d[i] - p
            r = (d[i + 1] - g) * sine + 2.0 * cosine * b
            p = sine * r
            d[i] = g + p
            g = cosine * r - b
            rotations.append((cosine, sine))
        _rotate(z, m, rotations, backward=False)
        d[high] = d[high] - p
        e[high - 1] = g
