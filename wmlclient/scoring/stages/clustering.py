"""The nearest cluster: k-means and bisecting k-means.

Source: ``KMeansModel``, ``BisectingKMeansModel``, ``ClusteringTreeNode`` and ``DistanceMeasure`` of Spark 4.2.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import field, frozen

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, SparseBlock, vectors_of
from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.distances import Cosine, Euclidean, norm_of
from wmlclient.scoring.registry import Params, Stage, loads, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse

_log = logging.getLogger("wmlclient.scoring.clustering")

MAX_STATISTICS_K = 1000
MAX_STATISTICS_SIZE = 1_000_000
MAX_HINTS = 100

_PARAMS: dict[str, Any] = {
    "featuresCol": text,
    "predictionCol": text,
    "distanceMeasure": text,
    **dict.fromkeys(["k", "maxIter", "seed", "weightCol"], training),
}


def features(frame: Frame, name: str, stage: str) -> Column:
    """A column of vectors, or of arrays of floats, which cluster models take for dense vectors."""
    kinds = ("vector", "array<double>", "array<float>")
    return frame.find(name, stage, kinds.__contains__, "a vector or an array of doubles", "vector")


def dense_center(saved: SavedStage, center: Any) -> list[float]:
    """A center; one that is sparse has other distances, and Spark makes none."""
    if isinstance(center, Sparse):
        raise saved.refuse("a center is a sparse vector")
    return list(center)


@loads(
    "org.apache.spark.ml.clustering.KMeansModel",
    **_PARAMS,
    **dict.fromkeys(["initMode", "initSteps", "tol", "solver", "maxBlockSizeInMB"], training),
)
def kmeans_model(saved: SavedStage, params: Params) -> Stage:
    """``KMeansModel``, always with Euclidean distances.

    Spark forgets the distance measure of a saved model: ``KMeansModelReader`` makes a Euclidean one of it, whatever
    it was fitted with. A loaded model predicts so in Spark, and here.
    """
    if params.distanceMeasure not in (None, "euclidean"):
        _log.warning(
            "stage %s was fitted with distanceMeasure=%r, but Spark predicts with Euclidean distances once a "
            "KMeansModel has been saved and loaded, and so does this",
            saved.uid,
            params.distanceMeasure,
        )
    centers = _centers(saved)
    nearest = _Nearest(centers)
    hints = [Sparse(len(centers[0]), [], [])]
    return _predictor(saved, params, nearest.row, nearest.batch, hints)


def _centers(saved: SavedStage) -> list[list[float]]:
    rows = saved.rows()
    if not rows or not {"clusterIdx", "clusterCenter"} <= rows[0].keys():
        raise saved.damaged("it has no centers")
    rows.sort(key=lambda row: row["clusterIdx"])
    centers = [dense_center(saved, row["clusterCenter"]) for row in rows]
    if len({len(center) for center in centers}) != 1 or not centers[0]:
        raise saved.damaged("its centers differ in size")
    return centers


def _predictor(saved: SavedStage, params: Params, row: Any, batch: Any, hints: list[Any]) -> Stage:
    def bind(frame: Frame) -> None:
        features(frame, params.featuresCol, saved.uid)
        frame.add(saved.uid, [params.featuresCol], [Column(params.predictionCol, "int")], row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints={params.featuresCol: hints})


class _Nearest:
    """``EuclideanDistanceMeasure.findClosest``: the nearest center, found with as few distances as Spark needs.

    The shortcuts are Spark's, for they decide which of two centers wins that are equally near.
    """

    def __init__(self, centers: list[list[float]]) -> None:
        norms = [norm_of(center) for center in centers]
        self._distances = Euclidean(centers, norms)
        self._norms = norms
        self._count = len(centers)
        k = len(centers)
        few = k < MAX_STATISTICS_K and k * k * len(centers[0]) < MAX_STATISTICS_SIZE
        self._bounds = self._statistics(centers) if few else None

    def _statistics(self, centers: list[list[float]]) -> list[list[float]]:
        """A quarter of the squared distance of each two centers; on the diagonal, the smallest of the row."""
        if len(centers) == 1:
            return [[math.nan]]
        bounds = [[math.inf] * len(centers) for _ in centers]
        for i, center in enumerate(centers):
            _, distance = self._distances.point(center)
            for j in range(i + 1, len(centers)):
                root = math.sqrt(distance(j))
                bound = 0.25 * root * root
                bounds[i][j] = bounds[j][i] = bound
                for own in (i, j):
                    if bound < bounds[own][own]:
                        bounds[own][own] = bound
        return bounds

    def row(self, vector: Any) -> int:
        """The number of the nearest center."""
        norms, bounds = self._norms, self._bounds
        if bounds is None:
            return self._plain(vector)
        norm, distance = self._distances.point(vector)
        best = distance(0)
        if best < bounds[0][0]:
            return 0
        place = 0
        beside = bounds[0]
        for i in range(1, self._count):
            gap = norms[i] - norm
            if gap * gap < best and beside[i] < best:
                found = distance(i)
                if found < bounds[i][i]:
                    return i
                if found < best:
                    best, place, beside = found, i, bounds[i]
        return place

    def _plain(self, vector: Any) -> int:
        norm = norm_of(vector if vector.__class__ is list else vector.values)
        if norm != norm:
            return 0  # Spark compares no distance, and so does not find out
        norm, distance = self._distances.point(vector)
        best, place = math.inf, 0
        for i, own in enumerate(self._norms):
            gap = own - norm
            if gap * gap < best:
                found = distance(i)
                if found < best:
                    best, place = found, i
        return place

    def batch(self, column: Block) -> tuple[Block] | None:
        """The same for all rows, or ``None`` if one of them is refused."""
        block = vectors_of(column)
        with np.errstate(all="ignore"):
            found = None if block is None else self._distances.block(block)
            if block is None or found is None:
                return None
            norms, distance = found
            return (self._many(norms, distance, len(block)).tolist(),)

    def _many(self, norms: Floats, distance: Callable[[int], Floats], count: int) -> Any:
        bounds = None if self._bounds is None else np.array(self._bounds, dtype=np.float64)
        place = np.zeros(count, dtype=np.int64)
        best = np.full(count, math.inf) if bounds is None else distance(0)
        done = np.zeros(count, dtype=np.bool_) if bounds is None else best < bounds[0, 0]
        for i in range(0 if bounds is None else 1, self._count):
            gap = self._norms[i] - norms
            looked = ~done & (gap * gap < best)
            if bounds is not None:
                looked &= bounds[i][place] < best
            if not looked.any():
                continue
            here = distance(i)
            better = looked & (here < best)
            if bounds is not None:
                final = looked & (here < bounds[i, i])
                done |= final
                better |= final
            best = np.where(better, here, best)
            place[better] = i
        return place


# -- bisecting k-means ------------------------------------------------------------------------------------------


@frozen
class _Node:
    """A node of the tree: the rows of its children among all nodes, or the cluster of a leaf."""

    place: int
    cluster: int
    children: tuple[_Node, ...] = field(factory=tuple)


@loads(
    "org.apache.spark.ml.clustering.BisectingKMeansModel",
    **_PARAMS,
    minDivisibleClusterSize=training,
)
def bisecting_kmeans_model(saved: SavedStage, params: Params) -> Stage:
    """``BisectingKMeansModel``: down the tree, to the nearer child each time."""
    rows = saved.rows("data/data")
    root_id, measure = _tree_metadata(saved)
    by_index = {row["index"]: row for row in rows}
    places = {index: place for place, index in enumerate(by_index)}
    if not rows or root_id not in by_index:
        raise saved.damaged("its tree has no root")
    root = _tree(saved, root_id, by_index, places, set())
    centers = [dense_center(saved, row["center"]) for row in by_index.values()]
    if len({len(center) for center in centers}) != 1 or not centers[0]:
        raise saved.damaged("its centers differ in size")
    norms = [row["norm"] for row in by_index.values()]
    distances: Euclidean | Cosine = (
        Cosine(centers, norms) if measure == "cosine" else Euclidean(centers, norms)
    )

    def row(vector: Any) -> int:
        _, distance = distances.point(vector)
        distance(root.place)
        node = root
        while node.children:
            node = _nearest(node.children, distance)
        return node.cluster

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        return None if block is None else _down(root, distances, block)

    return _predictor(saved, params, row, batch, [Sparse(len(centers[0]), [], [])])


def _tree_metadata(saved: SavedStage) -> tuple[int, str]:
    """The root and the distance measure, from the JSON beside the tree."""
    files = sorted((saved.folder / "data" / "metadata").glob("part-*"))
    try:
        document = json.loads("".join(file.read_text(encoding="utf-8") for file in files))
        root = document["rootId"]
        measure = "euclidean" if document["version"] == "1.0" else document["distanceMeasure"]
    except (OSError, ValueError, KeyError, TypeError):
        raise saved.damaged("the metadata of its tree is not readable") from None
    if measure not in ("euclidean", "cosine"):
        raise saved.refuse(f"its distance measure is {measure!r}")
    return root, measure


def _tree(
    saved: SavedStage, index: int, rows: dict[int, Any], places: dict[int, int], seen: set[int]
) -> _Node:
    # Spark bisects one cluster at a time, so that the tree may be as deep as it has leaves.
    order: list[int] = []
    waiting = [index]
    while waiting:
        here = waiting.pop()
        if here in seen or here not in rows:
            raise saved.damaged("the nodes of its tree do not hang together")
        seen.add(here)
        order.append(here)
        waiting.extend(rows[here]["children"])
    nodes: dict[int, _Node] = {}
    for here in reversed(order):
        nodes[here] = _Node(places[here], here, tuple(nodes[child] for child in rows[here]["children"]))
    return nodes[index]


def _nearest(children: tuple[_Node, ...], distance: Callable[[int], float]) -> _Node:
    """``minBy`` with Java's order of doubles, in which NaN is above all."""
    best, *others = children
    least = distance(best.place)
    for child in others:
        found = distance(child.place)
        if found < least or (least != least and found == found):
            best, least = child, found
    return best


def _down(root: _Node, distances: Euclidean | Cosine, block: DenseBlock | SparseBlock) -> tuple[Block] | None:
    with np.errstate(all="ignore"):
        found = distances.block(block)
        if found is None:
            return None
        _, distance = found
        clusters = np.full(len(block), root.cluster, dtype=np.int64)
        waiting: list[tuple[_Node, Any]] = [(root, np.ones(len(block), dtype=np.bool_))]
        while waiting:
            node, here = waiting.pop()
            if not node.children:
                clusters[here] = node.cluster
                continue
            best = np.zeros(len(block), dtype=np.int64)
            least = distance(node.children[0].place)
            for number, child in enumerate(node.children[1:], 1):
                gaps = distance(child.place)
                nearer = (gaps < least) | (np.isnan(least) & ~np.isnan(gaps))
                best[nearer] = number
                least = np.where(nearer, gaps, least)
            for number, child in enumerate(node.children):
                chosen = here & (best == number)
                if chosen.any():
                    waiting.append((child, chosen))
        return (clusters.tolist(),)
