"""Small saved regressions and cluster models, and what Spark 4.2 answers for each of some rows.

The answers were recorded by loading these folders with PySpark 4.2.0 and scoring ``ROWS``. (Vectors of a mixture and of
bisecting k-means have another class name in Spark's own files, that of ``mllib``; what is in them is the same.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from saved_by_hand import MATRIX, VECTOR, dense, matrix, save, write

INFINITY, NAN = math.inf, math.nan

ROWS: list[list[Any]] = [
    [1.0, 2.0, 0.5],
    [0.25, 0.0, 3.0],
    [3, [0, 2], [1.5, 2.0]],
    [3, [1], [4.0]],
    [0.5, 0.125, 0.1],
    [7.0, 1.0, 0.3],
]
"""Dense vectors of three values, and sparse ones as [size, indices, values]."""

COEFFICIENTS = dense([0.5, -0.75, 0.3])
SPARSE = {"type": 0, "size": 3, "indices": [0, 2], "values": [0.5, -0.75]}


def floats(*values: float) -> pa.Array:
    """A column of one double, or of more."""
    return pa.array(values, pa.float64())


def linear(coefficients: dict[str, Any] = COEFFICIENTS, **params: Any) -> Callable[[Path], Path]:
    """A linear regression."""

    def make(folder: Path) -> Path:
        data = {
            "intercept": floats(0.1),
            "coefficients": pa.array([coefficients], VECTOR),
            "scale": floats(1.0),
        }
        return save(folder, "regression.LinearRegressionModel", params, data)

    return make


def glm(**params: Any) -> Callable[[Path], Path]:
    """A generalized linear regression."""

    def make(folder: Path) -> Path:
        data = {"intercept": floats(0.1), "coefficients": pa.array([COEFFICIENTS], VECTOR)}
        return save(folder, "regression.GeneralizedLinearRegressionModel", params, data)

    return make


def machine(folder: Path) -> Path:
    """A factorization machine with two factors."""
    factors = matrix([[0.1, -0.2], [0.3, 0.5], [-0.7, 0.25]], transposed=False)
    data = {
        "intercept": floats(0.1),
        "linear": pa.array([COEFFICIENTS], VECTOR),
        "factors": pa.array([factors], MATRIX),
    }
    return save(folder, "regression.FMRegressionModel", {"factorSize": 2}, data)


def isotonic(boundaries: tuple[float, ...] = (-1.0, 0.0, 2.0, 2.5), **params: Any) -> Callable[[Path], Path]:
    """An isotonic regression on the second value of the vector."""

    def make(folder: Path) -> Path:
        data = {
            "boundaries": pa.array([boundaries], pa.list_(pa.float64())),
            "predictions": pa.array([[0.1 * 3**n for n in range(len(boundaries))]], pa.list_(pa.float64())),
            "isotonic": pa.array([True]),
        }
        given = {"featureIndex": 1, "isotonic": True, **params}
        return save(folder, "regression.IsotonicRegressionModel", given, data)

    return make


def survival(**params: Any) -> Callable[[Path], Path]:
    """A survival regression."""

    def make(folder: Path) -> Path:
        data = {
            "coefficients": pa.array([COEFFICIENTS], VECTOR),
            "intercept": floats(0.1),
            "scale": floats(0.7),
        }
        given = {"quantileProbabilities": [0.1, 0.5, 0.99], **params}
        return save(folder, "regression.AFTSurvivalRegressionModel", given, data)

    return make


CENTERS = [[0.0, 0.0, 0.1], [2.0, 1.0, 0.25], [0.3, 0.1, 2.5], [5.0, 5.0, 5.0]]


def kmeans(centers: list[list[float]] = CENTERS, **params: Any) -> Callable[[Path], Path]:
    """K-means; Spark takes the centers in the order of their numbers."""

    def make(folder: Path) -> Path:
        numbered = list(enumerate(centers))[::-1]
        data = {
            "clusterIdx": pa.array([number for number, _ in numbered], pa.int32()),
            "clusterCenter": pa.array([dense(center) for _, center in numbered], VECTOR),
        }
        return save(folder, "clustering.KMeansModel", {"labelCol": None, **params}, data)

    return make


NODES: list[tuple[int, list[float], float, list[int]]] = [
    (-1, [1.0, 1.0, 1.0], 3.0**0.5, [-2, 2]),
    (-2, [2.0, 1.0, 0.25], 2.25, [0, 1]),
    (0, [1.0, 2.0, 0.25], 2.25, []),
    (1, [5.0, 0.5, 0.5], 5.049752469181039, []),
    (2, [0.3, 0.1, 2.5], 2.5199206336708304, []),
]


def bisecting(measure: str, **params: Any) -> Callable[[Path], Path]:
    """Bisecting k-means: a root, one cluster beside it, and two below."""

    def make(folder: Path) -> Path:
        save(
            folder,
            "clustering.BisectingKMeansModel",
            {"labelCol": None, "distanceMeasure": measure, **params},
        )
        tree = folder / "data"
        (tree / "metadata").mkdir(parents=True)
        about = {
            "class": "org.apache.spark.mllib.clustering.BisectingKMeansModel",
            "version": "3.0", "rootId": -1, "distanceMeasure": measure, "trainingCost": 1.0,
        }  # fmt: skip
        (tree / "metadata" / "part-00000").write_text(json.dumps(about) + "\n", encoding="utf-8")
        write(
            tree / "data",
            {
                "index": pa.array([node[0] for node in NODES], pa.int32()),
                "size": pa.array([1] * len(NODES), pa.int64()),
                "center": pa.array([dense(node[1]) for node in NODES], VECTOR),
                "norm": floats(*(node[2] for node in NODES)),
                "cost": floats(*[1.0] * len(NODES)),
                "height": floats(*[1.0] * len(NODES)),
                "children": pa.array([node[3] for node in NODES], pa.list_(pa.int32())),
            },
        )
        return folder

    return make


COVARIANCES = [
    [[1.0, 0.2, 0.1], [0.2, 2.0, -0.3], [0.1, -0.3, 1.5]],
    [[0.5, 0.0, 0.0], [0.0, 0.5, 0.4], [0.0, 0.4, 0.5]],
]


def mixture(covariances: list[list[list[float]]] = COVARIANCES, **params: Any) -> Callable[[Path], Path]:
    """A mixture of two Gaussians."""

    def make(folder: Path) -> Path:
        data = {
            "weights": pa.array([[0.3, 0.7]], pa.list_(pa.float64())),
            "mus": pa.array([[dense([1.0, 1.0, 1.0]), dense([0.5, 0.25, 0.0])]], pa.list_(VECTOR)),
            "sigmas": pa.array([[matrix(c, transposed=False) for c in covariances]], pa.list_(MATRIX)),
        }
        given = {"labelCol": None, "probabilityCol": "probability", **params}
        return save(folder, "clustering.GaussianMixtureModel", given, data)

    return make


def topics(name: str = "LocalLDAModel", shape: float = 100.0) -> Callable[[Path], Path]:
    """Two topics over three terms."""

    def make(folder: Path) -> Path:
        weights = matrix([[3.0, 0.1], [0.2, 5.0], [1.0, 1e-7]], transposed=False)
        data = {
            "vocabSize": pa.array([3], pa.int32()),
            "topicsMatrix": pa.array([weights], MATRIX),
            "docConcentration": pa.array([dense([0.5, 0.25])], VECTOR),
            "topicConcentration": floats(0.5),
            "gammaShape": floats(shape),
        }
        given = {"labelCol": None, "predictionCol": None, "topicDistributionCol": "topics", "seed": 5}
        return save(folder, f"clustering.{name}", given, data)

    return make


def recommender(
    strategy: str = "nan", factors: list[tuple[int, list[float]]] | None = None, **params: Any
) -> Callable[[Path], Path]:
    """Two users, three items, three factors; one id is in another file."""

    def make(folder: Path) -> Path:
        kind = pa.list_(pa.float32())
        users = factors or [(7, [0.1, 0.2, 0.3]), (-4, [1e20, 1.0, 0.7])]
        items = [(1, [1.0, -2.0, 3.0]), (2, [1e20, 0.1, 0.1]), (3, [16777216.0, 1.0, 1.0])]
        save(
            folder,
            "recommendation.ALSModel",
            {
                "featuresCol": None,
                "labelCol": None,
                "userCol": "user",
                "itemCol": "item",
                "coldStartStrategy": strategy,
                **params,
            },
            rank=3,
        )
        for name, rows in (("userFactors", users), ("itemFactors", items)):
            ids, values = zip(*rows, strict=True)
            write(folder / name, {"id": pa.array(ids, pa.int32()), "features": pa.array(values, kind)})
        return folder

    return make


CASES: dict[str, Callable[[Path], Path]] = {
    "linear": linear(),
    "linear, sparse": linear(SPARSE),
    "gaussian": glm(linkPredictionCol="link"),
    "logit": glm(family="binomial", linkPredictionCol="link"),
    "probit": glm(family="binomial", link="probit"),
    "cloglog": glm(family="Binomial", link="CLogLog"),
    "poisson": glm(family="poisson"),
    "sqrt": glm(family="poisson", link="sqrt"),
    "gamma": glm(family="gamma"),
    "tweedie": glm(family="tweedie", variancePower=1.6),
    "tweedie, power": glm(family="tweedie", variancePower=1.6, linkPower=0.3),
    "tweedie, log": glm(family="tweedie", variancePower=1.0),
    "machine": machine,
    "isotonic": isotonic(),
    "survival": survival(),
    "quantiles": survival(quantilesCol="quantiles"),
    "kmeans": kmeans(),
    "kmeans, once cosine": kmeans(distanceMeasure="cosine"),
    "bisecting": bisecting("euclidean"),
    "bisecting, cosine": bisecting("cosine"),
    "mixture": mixture(),
    "topics": topics(),
}

ANSWERS: dict[str, list[list[Any]]] = {
    "linear": [[-0.75], [1.125], [1.4500000000000002], [-2.9], [0.28625], [2.94]],
    "linear, sparse": [[0.225], [-2.025], [-0.65], [0.1], [0.275], [3.375]],
    "gaussian": [
        [-0.75, -0.75],
        [1.125, 1.125],
        [1.4500000000000002, 1.4500000000000002],
        [-2.9, -2.9],
        [0.28625, 0.28625],
        [2.94, 2.94],
    ],
    "logit": [
        [-0.75, 0.320821300824607],
        [1.125, 0.7549149868676283],
        [1.4500000000000002, 0.8099984339846871],
        [-2.9, 0.05215356307841774],
        [0.28625, 0.5710778239894033],
        [2.94, 0.9497887268097336],
    ],
    "probit": [
        [0.22662735237686826],
        [0.869705482863191],
        [0.9264707403903514],
        [0.001865813300384045],
        [0.6126566746696389],
        [0.998358938765843],
    ],
    "cloglog": [
        [0.3764750837431996],
        [0.9540507084855303],
        [0.9859216132913526],
        [0.053536829229883565],
        [0.7358994216962058],
        [0.9999999939053001],
    ],
    "poisson": [
        [0.4723665527410147],
        [3.080216848918031],
        [4.263114515168819],
        [0.05502322005640723],
        [1.3314252699662106],
        [18.915846312255038],
    ],
    "sqrt": [[0.5625], [1.265625], [2.1025000000000005], [8.41], [0.0819390625], [8.6436]],
    "gamma": [
        [1e-16],
        [0.8888888888888888],
        [0.689655172413793],
        [1e-16],
        [3.493449781659389],
        [0.3401360544217687],
    ],
    "tweedie": [
        [NAN],
        [0.821761510341493],
        [0.5383358839300597],
        [NAN],
        [8.04311307680275],
        [0.16573762683735235],
    ],
    "tweedie, power": [
        [NAN],
        [1.4808409248094123],
        [3.4505898522925524],
        [NAN],
        [0.015457941206925296],
        [36.40472611366622],
    ],
    "tweedie, log": [
        [0.4723665527410147],
        [3.080216848918031],
        [4.263114515168819],
        [0.05502322005640723],
        [1.3314252699662106],
        [18.915846312255038],
    ],
    "machine": [
        [-1.0350000000000001],
        [1.0350000000000001],
        [1.0900000000000003],
        [-2.9],
        [0.2748125],
        [2.1725],
    ],
    "isotonic": [[0.9], [0.30000000000000004], [0.30000000000000004], [2.7], [0.3375], [0.6000000000000001]],
    "survival": [
        [0.4723665527410147],
        [3.080216848918031],
        [4.263114515168819],
        [0.05502322005640723],
        [1.3314252699662106],
        [18.915846312255038],
    ],
    "quantiles": [
        [0.4723665527410147, [0.09775830431277448, 0.36547439958986416, 1.3757867345394794]],
        [3.080216848918031, [0.6374642199337894, 2.383192452836754, 8.971256444081565]],
        [4.263114515168819, [0.8822700161045788, 3.298411389996105, 12.416493851561192]],
        [0.05502322005640723, [0.011387293743238752, 0.04257197762399981, 0.16025735904878088]],
        [1.3314252699662106, [0.2755442271596157, 1.0301361269464473, 3.8778300745913703]],
        [18.915846312255038, [3.914716335008916, 14.635366398382361, 55.093169230498695]],
    ],
    "kmeans": [[1], [2], [2], [1], [0], [1]],
    "kmeans, once cosine": [[1], [2], [2], [1], [0], [1]],
    "bisecting": [[0], [2], [2], [0], [0], [1]],
    "bisecting, cosine": [[0], [2], [2], [0], [1], [1]],
    "mixture": [
        [[0.9131015501073781, 0.08689844989262192], 0],
        [[0.999999999957502, 4.2498020924231325e-11], 0],
        [[0.9999824599268867, 1.7540073113274954e-05], 0],
        [[0.9999999999995342, 4.65765658859123e-13], 0],
        [[0.03232751994424788, 0.9676724800557521], 1],
        [[0.9999959593607879, 4.040639212111389e-06], 0],
    ],
    "topics": [
        [[0.4711497063886906, 0.5288502936113093]],
        [[0.9374999973421871, 0.0625000026578129]],
        [[0.9411764566422078, 0.05882354335779219]],
        [[0.10530688877467496, 0.8946931112253251]],
        [[0.7469764703281118, 0.2530235296718882]],
        [[0.863292004220682, 0.13670799577931805]],
    ],
}

PAIRS = [(7, 1), (7, 2), (-4, 1), (-4, 2), (-4, 3), (7, 3), (7, 99), (99, 1)]
"""Users and items for ``recommender()``."""
RATINGS = [
    0.6000000238418579,
    9.999999980506448e18,
    1.0000000200408773e20,
    INFINITY,
    1.6777216336230128e27,
    1677722.125,
    NAN,
    NAN,
]
