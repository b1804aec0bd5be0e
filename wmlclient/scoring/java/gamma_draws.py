"""Random numbers of a gamma distribution, the very ones that Breeze draws for a seed.

Source: ``breeze.stats.distributions.Gamma`` (Breeze 2.1), ``MersenneTwister`` and ``BitsStreamGenerator`` of Apache
Commons Math 3.6.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np


class _Twister:
    """``MersenneTwister(long)``; NumPy's ``RandomState``, frozen for good, is the same generator."""

    def __init__(self, seed: int) -> None:
        words = np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], dtype=np.uint32)
        self._words = _words(np.random.RandomState(words))
        self._kept: float | None = None

    def uniform(self) -> float:
        """``nextDouble``."""
        high = next(self._words) >> 6
        low = next(self._words) >> 6
        return float(high << 26 | low) * 2.0**-52

    def gaussian(self) -> float:
        """``nextGaussian``: they come in pairs."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        x, y = self.uniform(), self.uniform()
        angle = 2.0 * math.pi * x
        radius = math.sqrt(-2.0 * math.log(y))
        self._kept = radius * math.sin(angle)
        return radius * math.cos(angle)


def _words(state: np.random.RandomState) -> Iterator[int]:
    while True:
        yield from np.frombuffer(state.bytes(4096), dtype="<u4").tolist()


def gamma_draws(shape: float, scale: float, count: int, seed: int) -> list[float]:
    """The first draws of ``Gamma(shape, scale)(RandBasis(MersenneTwister(seed)))``.

    Args:
        shape: Above 1.
        scale: Above 0.
        count: How many.
        seed: A 64-bit signed integer.
    """
    twister = _Twister(seed)
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    draws: list[float] = []
    while len(draws) < count:
        v = 0.0
        while v <= 0.0:
            x = twister.gaussian()
            v = 1.0 + c * x
        v = v * v * v
        square = x * x
        u = twister.uniform()
        easy = u < 1.0 - 0.0331 * (square * square)
        if easy or math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            draws.append(scale * d * v)
    return draws
