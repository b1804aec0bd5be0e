# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Products of features: PolynomialExpansion, equal to Spark's to the last bit.

Source: the class of that name in ``org.apache.spark.ml.feature`` of Spark 4.2.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.registry import Params, Stage, integer, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse

MAX_TERMS = (1 << 31) - 1
"""Spark counts the terms in an ``int``."""
MAX_PLANNED = 1 << 16
"""Terms up to which the order of the products is worked out once for a size of vectors."""


def count_terms(features: int, degree: int) -> int:
    """How many terms the expansion has, the constant one included."""
    return math.comb(features + degree, degree)


@loads("org.apache.spark.ml.feature.PolynomialExpansion", inputCol=text, outputCol=text, degree=integer)
def polynomial_expansion(saved: SavedStage, params: Params) -> Stage:
    """``PolynomialExpansion``: all products of up to ``degree`` features; the vector keeps its form.

    Spark leaves a product out as soon as it is zero: so it stays 0.0, even times infinity or NaN.
    """
    degree = 2 if params.degree is None else params.degree
    if degree < 1:
        raise saved.refuse(f"its degree is {degree}")

    def row(vector: Any) -> list[float] | Sparse:
        if vector.__class__ is not list:
            return _expand_sparse(vector, degree)
        size = len(vector)
        _check_terms(size, degree)
        if count_terms(size, degree) > MAX_PLANNED:
            indices, values = _expand(range(size), vector, degree)
            out = [0.0] * (count_terms(size, degree) - 1)
            for index, value in zip(indices, values):
                out[index] = value
            return out
        products, order = _plan(size, degree)
        terms = [1.0]
        for parent, feature in products:
            term = terms[parent]
            if term:
                # -0.0 is zero, too: it is left out and stays 0.0
                term = term * vector[feature] or 0.0
            terms.append(term)
        return [terms[place] for place in order]

    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock):
            return None
        size = len(block.features)
        if count_terms(size, degree) > MAX_PLANNED:
            return None
        products, order = _plan(size, degree)
        terms: list[Floats] = [np.ones(len(block))]
        for parent, feature in products:
            before = terms[parent]
            term = before * block.features[feature] + 0.0
            term[before == 0.0] = 0.0
            terms.append(term)
        return (DenseBlock([terms[place] for place in order], len(block)),)

    def bind(frame: Frame) -> None:
        column = frame.vector(params.inputCol, saved.uid)
        size = None if column.size is None else count_terms(column.size, degree) - 1
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "vector", size=size)], row, batch)

    return Stage(saved.uid, saved.java_class, bind)


def _check_terms(size: int, degree: int) -> None:
    if count_terms(size, degree) > MAX_TERMS:
        raise Invalid(f"a vector of {size} values has more than {MAX_TERMS} products of degree {degree}")


@lru_cache(maxsize=16)
def _plan(size: int, degree: int) -> tuple[list[tuple[int, int]], list[int]]:
    """The products as (an earlier product, a feature), and where the term of each index of the output is in them.

    Product 0 is the constant 1.0.
    """
    products: list[tuple[int, int]] = []
    order: list[int] = []
    todo = [(size - 1, degree, 0)]
    while todo:
        last, left, product = todo.pop()
        if left == 0 or last < 0:
            order.append(product)
            continue
        children = []
        for power in range(left + 1):
            if power:
                products.append((product, last))
                product = len(products)
            children.append((last - 1, left - power, product))
        todo += reversed(children)
    return products, order[1:]


def _expand_sparse(vector: Sparse, degree: int) -> Sparse:
    _check_terms(vector.size, degree)
    indices, values = _expand(vector.indices, vector.values, degree, vector.size)
    return Sparse(count_terms(vector.size, degree) - 1, indices, values)


def _expand(
    indices: Any, values: list[float], degree: int, size: int | None = None
) -> tuple[list[int], list[float]]:
    """Indices and values of the products that are not zero, of what a vector stores."""
    places: list[int] = []
    products: list[float] = []
    at = -1  # the constant is left out
    top = (len(values) if size is None else size) - 1
    todo: list[tuple[int, int, int, float]] = [(len(values) - 1, top, degree, 1.0)]
    while todo:
        last, feature, left, product = todo.pop()
        if left == 0 or last < 0 or not product:
            if product and at >= 0:
                places.append(at)
                products.append(product)
            at += count_terms(feature + 1, left)
            continue
        below = indices[last] - 1
        children = []
        for power in range(left + 1):
            children.append((last - 1, below, left - power, product))
            product = product * values[last] if product else 0.0
        # The products with the features that are not stored come last: an item without a product skips them.
        gap = count_terms(feature + 1, left) - count_terms(below + 2, left)
        if gap:
            todo.append((-1, gap - 2, 1, 0.0))
        todo += reversed(children)
    return places, products
