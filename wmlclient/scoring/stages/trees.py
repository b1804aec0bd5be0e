"""Decision trees, random forests and gradient-boosted trees, for classes and for numbers.

Source: the six model classes in ``org.apache.spark.ml.classification`` and ``...regression`` of Spark 4.2. Which leaf
a row reaches is exact, and so is everything that is read off the leaf or summed over trees. For boosted trees Spark
sums with its BLAS, in an order that depends on the processor; here it is the order of the trees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Floats
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.registry import Params, Stage, integer, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.classified import (
    Classifier,
    Part,
    classes_part,
    combine,
    of_two,
    predictor,
    probabilistic,
)
from wmlclient.scoring.stages.logistic import exp, exps
from wmlclient.scoring.stages.trees_batch import Indices
from wmlclient.scoring.stages.trees_forest import Forest
from wmlclient.scoring.stages.trees_read import (
    Tree,
    read_ensemble,
    read_tree,
    variance,
)
from wmlclient.scoring.values import Sparse

_TREE = (
    "cacheNodeIds",
    "checkpointInterval",
    "impurity",
    "maxBins",
    "maxDepth",
    "maxMemoryInMB",
    "minInfoGain",
    "minInstancesPerNode",
    "minWeightFractionPerNode",
    "seed",
    "weightCol",
)
_FOREST = (*_TREE, "bootstrap", "featureSubsetStrategy", "subsamplingRate")
_BOOSTED = (
    *_TREE,
    "featureSubsetStrategy",
    "lossType",
    "maxIter",
    "stepSize",
    "subsamplingRate",
    "validationIndicatorCol",
    "validationTol",
)


def _stage(saved: SavedStage, params: Params, forest: Forest, parts: Sequence[Part]) -> Stage:
    columns, row, batch = combine(forest.find, forest.find_block, parts)

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    size = saved.metadata.get("numFeatures")
    hints = [Sparse(size, [], []), *forest.edges(size)] if type(size) is int and size >= 0 else []
    return Stage(saved.uid, saved.java_class, bind, hints={params.featuresCol: hints})


def _sum(
    by_tree: list[list[float]], flat: Floats
) -> tuple[Callable[[list[int]], float], Callable[[Any], Floats]]:
    """The sum over the trees, in their order."""

    def row(found: list[int]) -> float:
        total = 0.0
        for values, leaf in zip(by_tree, found):  # noqa: B905 - hot
            total += values[leaf]
        return total

    return row, lambda found: _totals(flat, found)


def _totals(values: Floats, found: Indices) -> Floats:
    total = np.zeros(found.shape[1])
    for leaves in found:
        total += values.take(leaves)
    return total


# -- classes ----------------------------------------------------------------------------------------------------------


def _counts(saved: SavedStage, trees: Sequence[Tree]) -> int:
    """The number of classes, for each of which the leaves must have a count."""
    classes = saved.metadata.get("numClasses")
    if type(classes) is not int or classes < 1:
        raise saved.damaged("it has no number of classes")
    for counts in (tree.stats for tree in trees):
        if counts.shape[1] != classes or not ((counts >= 0.0) & (counts < np.inf)).all():
            raise saved.damaged("a leaf has not one count for each class")
    return classes


def _normalized(raw: list[float]) -> list[float]:
    total = 0.0
    for value in raw:
        total += value
    if not total > 0.0:
        raise Invalid("it reaches only leaves without training data, so there are no probabilities")
    return [value / total for value in raw]


def _normalized_block(raw: list[Floats]) -> list[Floats] | None:
    total = np.zeros(len(raw[0]))
    for value in raw:
        total += value
    if not (total > 0.0).all():
        return None
    return [value / total for value in raw]


@loads(
    "org.apache.spark.ml.classification.DecisionTreeClassificationModel",
    **probabilistic(*_TREE, leafCol=text),
)
def decision_tree_classification_model(saved: SavedStage, params: Params) -> Stage:
    """``DecisionTreeClassificationModel``: raw predictions are the counts of the leaf."""
    tree = read_tree(saved)
    classes = _counts(saved, [tree])
    forest = Forest([tree])
    stats, predictions = tree.stats.tolist(), tree.predictions
    flat = np.ascontiguousarray(tree.stats.T)
    model = Classifier(
        classes,
        raw=lambda found: list(stats[found[0]]),
        raw_block=lambda found: [counts.take(found[0]) for counts in flat],
        probability=_normalized,
        probability_block=_normalized_block,
        predict=lambda found: predictions[found[0]],
    )
    return _stage(saved, params, forest, [classes_part(saved, params, model), forest.only_leaf_part(params)])


@loads(
    "org.apache.spark.ml.classification.RandomForestClassificationModel",
    **probabilistic(*_FOREST, leafCol=text, numTrees=integer),
)
def random_forest_classification_model(saved: SavedStage, params: Params) -> Stage:
    """``RandomForestClassificationModel``: each tree votes with the shares of its leaf; weights are not used."""
    trees, _ = read_ensemble(saved)
    classes = _counts(saved, trees)
    forest = Forest(trees)
    known: dict[tuple[float, ...], tuple[float, ...]] = {}  # many leaves are pure
    shares = [_votes(tree.stats) for tree in trees]
    votes = [[known.setdefault(share, share) for share in map(tuple, each.tolist())] for each in shares]
    flat = np.ascontiguousarray(np.concatenate(shares).T)

    def raw(found: list[int]) -> list[float]:
        totals = [0.0] * classes
        for shares, leaf in zip(votes, found):  # noqa: B905 - hot
            totals = [total + share for total, share in zip(totals, shares[leaf])]  # noqa: B905 - hot
        return totals

    def two(found: list[int]) -> list[float]:
        no = yes = 0.0
        for shares, leaf in zip(votes, found):  # noqa: B905 - hot
            share = shares[leaf]
            no += share[0]
            yes += share[1]
        return [no, yes]

    model = Classifier(
        classes,
        raw=two if classes == 2 else raw,
        raw_block=lambda found: [_totals(shares, found) for shares in flat],
        probability=_normalized,
        probability_block=_normalized_block,
    )
    return _stage(saved, params, forest, [classes_part(saved, params, model), forest.leaf_part(params)])


def _votes(counts: Floats) -> Floats:
    """Each leaf's share of each class, zeros for a leaf without training data; shape (leaves, classes)."""
    total = np.zeros(len(counts))
    for column in counts.T:
        total += column
    return counts / np.where(total > 0.0, total, 1.0)[:, None]


@loads(
    "org.apache.spark.ml.classification.GBTClassificationModel",
    **probabilistic(*_BOOSTED, leafCol=text),
)
def gbt_classification_model(saved: SavedStage, params: Params) -> Stage:
    """``GBTClassificationModel``: two classes, with the logistic loss that doubles the margin."""
    trees, weights = read_ensemble(saved)
    forest = Forest(trees)
    margin, margins = _sum(*forest.predictions(weights))

    def raw(found: list[int]) -> list[float]:
        total = margin(found)
        return [-total, total]

    def raw_block(found: Indices) -> list[Floats]:
        total = margins(found)
        return [-total, total]

    probability, probability_block = of_two(
        0,
        lambda value: 1.0 / (1.0 + exp(-2.0 * value)),
        lambda values: 1.0 / (1.0 + exps(-2.0 * values)),
    )
    model = Classifier(2, raw, raw_block, probability, probability_block)
    return _stage(saved, params, forest, [classes_part(saved, params, model), forest.leaf_part(params)])


# -- numbers ----------------------------------------------------------------------------------------------------------


def _prediction(params: Params, row: Callable[[Any], float], block: Callable[[Any], Floats]) -> Part:
    columns = [Column(params.predictionCol, "double")] if params.predictionCol else []
    return Part(columns, lambda found: (row(found),), lambda found: (block(found),))


@loads(
    "org.apache.spark.ml.regression.DecisionTreeRegressionModel",
    **predictor(*_TREE, leafCol=text, varianceCol=text),
)
def decision_tree_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``DecisionTreeRegressionModel``, with the variance of the leaf's training data if it is wanted."""
    tree = read_tree(saved)
    forest = Forest([tree])
    parts = [_read_off(params.predictionCol, tree.predictions)]
    if params.varianceCol:
        if tree.stats.shape[1] < 3:
            raise saved.damaged("a leaf has no variance")
        parts.append(_read_off(params.varianceCol, [variance(stats) for stats in tree.stats.tolist()]))
    return _stage(saved, params, forest, [*parts, forest.only_leaf_part(params)])


def _read_off(name: str | None, values: list[float]) -> Part:
    """A column of numbers that the only tree's leaves have."""
    flat = np.array(values, dtype=np.float64)
    columns = [Column(name, "double")] if name else []
    return Part(columns, lambda found: (values[found[0]],), lambda found: (flat.take(found[0]),))


@loads(
    "org.apache.spark.ml.regression.RandomForestRegressionModel",
    **predictor(*_FOREST, leafCol=text, numTrees=integer),
)
def random_forest_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``RandomForestRegressionModel``: the mean of the trees; weights are not used."""
    trees, _ = read_ensemble(saved)
    forest = Forest(trees)
    count = params.numTrees or len(trees)  # Spark divides by the param, which its own models have right
    total, totals = _sum(*forest.predictions())
    prediction = _prediction(params, lambda found: total(found) / count, lambda found: totals(found) / count)
    return _stage(saved, params, forest, [prediction, forest.leaf_part(params)])


@loads(
    "org.apache.spark.ml.regression.GBTRegressionModel",
    **predictor(*_BOOSTED, leafCol=text),
)
def gbt_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``GBTRegressionModel``: the weighted sum of the trees."""
    trees, weights = read_ensemble(saved)
    forest = Forest(trees)
    prediction = _prediction(params, *_sum(*forest.predictions(weights)))
    return _stage(saved, params, forest, [prediction, forest.leaf_part(params)])
