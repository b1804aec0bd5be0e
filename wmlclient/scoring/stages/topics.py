"""Topics of a text: latent Dirichlet allocation.

Source: ``LDAModel``, ``LocalLDAModel``, ``OnlineLDAOptimizer.variationalTopicInference`` and ``LDAUtils`` of Spark 4.2.
Spark starts each document from the same random numbers, and so does this; what follows converges to 1e-3 and is equal
to Spark's but for the last bits of its sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, Floats, Ints, SparseBlock, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.java.gamma_draws import gamma_draws
from wmlclient.scoring.java.special import digamma
from wmlclient.scoring.registry import Params, Stage, loads, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.clustering import features
from wmlclient.scoring.stages.logistic import exp
from wmlclient.scoring.values import Sparse, to_dense

_CONVERGED = 1e-3
_FLOOR = 1e-100
_SEED = 1421925485
"""The hash of the class's name. ``LocalLDAModel`` hands its seed on before the saved one is set."""
MAX_STEPS = 10_000
"""Steps after which a document is given up; Spark would go on for ever."""

_PARAMS: dict[str, Any] = {
    "featuresCol": text,
    "topicDistributionCol": text,
    **dict.fromkeys(
        [
            "k", "maxIter", "seed", "checkpointInterval", "docConcentration", "topicConcentration", "optimizer",
            "learningOffset", "learningDecay", "subsamplingRate", "optimizeDocConcentration", "keepLastCheckpoint",
        ],
        training,
    ),
}  # fmt: skip


@loads("org.apache.spark.ml.clustering.DistributedLDAModel", **_PARAMS)
def distributed_lda_model(saved: SavedStage, params: Params) -> Stage:
    """``DistributedLDAModel``, which no two runs of Spark score alike."""
    raise saved.refuse(
        "Spark starts its inference from another random seed each time the model is loaded; "
        "toLocal() makes a LocalLDAModel, which is scored natively"
    )


@loads("org.apache.spark.ml.clustering.LocalLDAModel", **_PARAMS)
def local_lda_model(saved: SavedStage, params: Params) -> Stage:
    """``LocalLDAModel``: the distribution of topics in a vector of term counts."""
    vocabulary, topics, alpha, shape = saved.only(
        "data", "vocabSize", "topicsMatrix", "docConcentration", "gammaShape"
    )
    if not isinstance(topics, Matrix) or topics.num_rows != vocabulary:
        raise saved.damaged("its topics do not fit its vocabulary")
    if len(to_dense(alpha)) != topics.num_cols:
        raise saved.damaged("it has not one concentration for each topic")
    if not shape > 1.0:
        raise saved.refuse(f"its gammaShape is {shape}")
    model = _Topics(topics, to_dense(alpha), shape)

    def bind(frame: Frame) -> None:
        features(frame, params.featuresCol, saved.uid)
        column = Column(params.topicDistributionCol, "vector", size=topics.num_cols)
        frame.add(saved.uid, [params.featuresCol], [column], model.row, model.batch)

    hints = {params.featuresCol: [Sparse(vocabulary, [], [])]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


class _Topics:
    """Variational inference of the topics of documents.

    Args:
        topics: The weight of each term in each topic, shape (terms, topics).
        alpha: The concentration of each topic.
        shape: Of the gamma distribution that the inference starts from.
    """

    def __init__(self, topics: Matrix, alpha: list[float], shape: float) -> None:
        weights: Floats = np.array(topics.dense(), dtype=np.float64)
        self._count = topics.num_cols
        with np.errstate(all="ignore"):
            self._beta: Floats = np.exp(digamma(weights) - digamma(np.add.accumulate(weights)[-1]))
        self._alpha = np.array(alpha)
        self._start: Floats = np.array([gamma_draws(shape, 1.0 / shape, self._count, _SEED)])
        self._start_theta = _expectation(self._start)

    def row(self, vector: Any) -> list[float]:
        """The distribution of the topics; zeros for a document without terms."""
        if vector.__class__ is list:
            values, indices, last = vector, slice(len(vector)), len(vector) - 1
        else:
            values, indices = vector.values, vector.indices
            last = indices[-1] if indices else -1
        if last >= len(self._beta):
            raise Invalid(f"the vector has a value at {last}, the vocabulary {len(self._beta)} terms")
        if not any(value != 0.0 for value in values):
            return [0.0] * self._count
        beta = self._beta[indices]
        with np.errstate(all="ignore"):
            gammas = self._infer(np.zeros(len(values), dtype=np.int64), np.array(values), beta, 1)
        if gammas is None:
            raise Invalid("the inference of the topics does not converge")
        return _shares(gammas)[0]

    def batch(self, column: Block) -> tuple[Block] | None:
        """The same for all rows, or ``None`` if the row function has to do it."""
        block = vectors_of(column)
        if not isinstance(block, SparseBlock) or (block.indices >= len(self._beta)).any():
            return None
        rows = block.row_numbers()
        filled = np.bincount(rows, weights=block.values != 0.0, minlength=len(block)) > 0.0
        # Documents without terms are left out, and the others numbered anew.
        numbers = np.cumsum(filled) - 1
        used = filled[rows]
        rows, indices, values = numbers[rows[used]], block.indices[used], block.values[used]
        count = int(filled.sum())
        with np.errstate(all="ignore"):
            gammas = self._infer(rows, values, self._beta[indices], count) if count else self._start[:0]
        if gammas is None:
            return None
        shares = iter(_shares(gammas))
        empty = [0.0] * self._count
        return ([next(shares) if has_terms else list(empty) for has_terms in filled.tolist()],)

    def _infer(self, rows: Ints, counts: Floats, beta: Floats, documents: int) -> Floats | None:
        """The parameters of each document's distribution, or ``None`` if some do not converge.

        Args:
            rows: For each term, its document.
            counts: How often the term is in it.
            beta: The weights of the term in the topics, shape (terms, topics).
            documents: How many there are.
        """
        result: Floats = np.empty((documents, self._count))
        left = np.arange(documents)
        gamma = np.repeat(self._start, documents, axis=0)
        theta = np.repeat(self._start_theta, documents, axis=0)
        norm = _along(beta * theta[rows]) + _FLOOR
        for _ in range(MAX_STEPS):
            before = gamma
            gamma = theta * _by_document(rows, beta * (counts / norm)[:, np.newaxis], len(left)) + self._alpha
            try:
                theta = _expectation(gamma)
            except OverflowError:
                return None
            going = _along(np.abs(gamma - before)) / self._count > _CONVERGED
            if not going.all():
                result[left[~going]] = gamma[~going]
                if not going.any():
                    return result
                left, gamma, theta = left[going], gamma[going], theta[going]
                kept = going[rows]
                rows, counts, beta = (np.cumsum(going) - 1)[rows[kept]], counts[kept], beta[kept]
            norm = _along(beta * theta[rows]) + _FLOOR
        return None


def _along(table: Floats) -> Floats:
    """The sum of each row, one after the other: the same for one document and for many."""
    return np.add.accumulate(table, axis=1)[:, -1]


def _by_document(rows: Ints, table: Floats, documents: int) -> Floats:
    """The sums of the columns for each document, one after the other."""
    if documents == 1:
        return np.add.accumulate(table, axis=0)[-1:]
    sums = [np.bincount(rows, weights=column, minlength=documents) for column in table.T]
    return np.stack(sums, axis=1)


def _expectation(gamma: Floats) -> Floats:
    """``exp(dirichletExpectation(gamma))`` for each row."""
    both = digamma(np.concatenate([gamma, _along(gamma)[:, np.newaxis]], axis=1))
    differences = both[:, :-1] - both[:, -1:]
    # math.exp, not numpy's: Spark's is nearer to it.
    return np.array([[exp(value) for value in row] for row in differences.tolist()])


def _shares(gammas: Floats) -> list[list[float]]:
    """Each row divided by the sum of its sizes."""
    shares: list[list[float]] = (gammas / _along(np.abs(gammas))[:, np.newaxis]).tolist()
    return shares
