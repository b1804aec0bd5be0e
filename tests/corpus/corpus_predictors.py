"""Cases of the corpus: classifiers, regressors, clusters, recommendations, tuned and nested models."""

from __future__ import annotations

from typing import Any

from corpus_cases import CASES, Case, case

# -- classification ---------------------------------------------------------------------------------------------------


@case("vectors")
def logistic() -> list[Any]:
    from pyspark.ml.classification import LogisticRegression

    return [LogisticRegression(labelCol="two", maxIter=8, threshold=0.4, regParam=0.01)]


@case("vectors")
def logistic_of_three() -> list[Any]:
    from pyspark.ml.classification import LogisticRegression

    return [
        LogisticRegression(
            labelCol="three", maxIter=8, thresholds=[0.3, 0.5, 0.4], elasticNetParam=0.5, regParam=0.05
        )
    ]


@case("vectors")
def svc() -> list[Any]:
    from pyspark.ml.classification import LinearSVC

    return [LinearSVC(labelCol="two", maxIter=5, threshold=0.1)]


def _indexed() -> Any:
    from pyspark.ml.feature import VectorIndexer

    return VectorIndexer(inputCol="features", outputCol="indexed", maxCategories=4, handleInvalid="keep")


@case("vectors")
def tree() -> list[Any]:
    from pyspark.ml.classification import DecisionTreeClassifier

    return [
        _indexed(),
        DecisionTreeClassifier(featuresCol="indexed", labelCol="three", maxDepth=3, leafCol="leaf"),
    ]


@case("vectors")
def forest() -> list[Any]:
    from pyspark.ml.classification import RandomForestClassifier

    return [
        _indexed(),
        RandomForestClassifier(
            featuresCol="indexed", labelCol="three", numTrees=4, maxDepth=3, seed=1, leafCol="leaves"
        ),
    ]


@case("vectors")
def boosted() -> list[Any]:
    from pyspark.ml.classification import GBTClassifier

    return [
        _indexed(),
        GBTClassifier(featuresCol="indexed", labelCol="two", maxIter=3, maxDepth=2, seed=1, leafCol="leaves"),
    ]


def _bayes(kind: str) -> list[Any]:
    from pyspark.ml.classification import NaiveBayes

    features = {"gaussian": "features", "bernoulli": "bits"}.get(kind, "counts")
    return [NaiveBayes(modelType=kind, featuresCol=features, labelCol="three", smoothing=0.5)]


for _kind in ("multinomial", "complement", "bernoulli", "gaussian"):
    CASES.append(Case(f"bayes_{_kind}", "vectors", lambda kind=_kind: _bayes(kind)))  # type: ignore[misc]


@case("vectors")
def perceptron() -> list[Any]:
    from pyspark.ml.classification import MultilayerPerceptronClassifier

    return [MultilayerPerceptronClassifier(labelCol="three", layers=[5, 4, 3], maxIter=5, seed=2)]


@case("vectors")
def machines() -> list[Any]:
    from pyspark.ml.classification import FMClassifier

    return [FMClassifier(labelCol="two", factorSize=2, maxIter=3, seed=2)]


def _against_the_rest() -> list[Any]:
    from pyspark.ml.classification import LogisticRegression, OneVsRest

    return [OneVsRest(classifier=LogisticRegression(maxIter=4), labelCol="three")]


for _java in (False, True):
    _name = "against_the_rest" + ("_in_scala" if _java else "")
    CASES.append(Case(_name, "vectors", _against_the_rest, java=_java))


# -- regression -------------------------------------------------------------------------------------------------------


@case("vectors")
def linear() -> list[Any]:
    from pyspark.ml.regression import LinearRegression

    return [LinearRegression(labelCol="target", regParam=0.1, elasticNetParam=0.3)]


@case("vectors")
def huber() -> list[Any]:
    from pyspark.ml.regression import LinearRegression

    return [LinearRegression(labelCol="target", loss="huber", epsilon=1.5, maxIter=10)]


_GENERALIZED: dict[str, dict[str, Any]] = {
    "gaussian": {"labelCol": "target"},
    "binomial": {"labelCol": "two", "link": "probit", "regParam": 0.5},
    "poisson": {"labelCol": "count", "offsetCol": "offset"},
    "gamma": {"labelCol": "positive", "link": "log"},
    "tweedie": {"labelCol": "positive", "variancePower": 1.5, "linkPower": 0.0},
}


def _generalized(family: str) -> list[Any]:
    from pyspark.ml.regression import GeneralizedLinearRegression

    more = _GENERALIZED[family]
    return [GeneralizedLinearRegression(family=family, maxIter=4, linkPredictionCol="link", **more)]


for _family in _GENERALIZED:
    CASES.append(Case(f"generalized_{_family}", "vectors", lambda family=_family: _generalized(family)))  # type: ignore[misc]


@case("vectors")
def tree_of_numbers() -> list[Any]:
    from pyspark.ml.regression import DecisionTreeRegressor

    return [
        _indexed(),
        DecisionTreeRegressor(
            featuresCol="indexed", labelCol="target", maxDepth=3, varianceCol="variance", leafCol="leaf"
        ),
    ]


@case("vectors")
def forest_of_numbers() -> list[Any]:
    from pyspark.ml.regression import RandomForestRegressor

    return [
        _indexed(),
        RandomForestRegressor(featuresCol="indexed", labelCol="target", numTrees=3, maxDepth=3, seed=1),
    ]


@case("vectors")
def boosted_numbers() -> list[Any]:
    from pyspark.ml.regression import GBTRegressor

    return [
        _indexed(),
        GBTRegressor(featuresCol="indexed", labelCol="target", maxIter=3, maxDepth=2, seed=1),
    ]


@case("vectors")
def machines_of_numbers() -> list[Any]:
    from pyspark.ml.regression import FMRegressor

    return [FMRegressor(labelCol="target", factorSize=2, maxIter=3, seed=2)]


@case("vectors")
def isotonic() -> list[Any]:
    from pyspark.ml.regression import IsotonicRegression

    return [IsotonicRegression(labelCol="target", featureIndex=0)]


@case("vectors")
def survival() -> list[Any]:
    from pyspark.ml.regression import AFTSurvivalRegression

    return [
        AFTSurvivalRegression(
            labelCol="positive",
            censorCol="censor",
            maxIter=5,
            quantilesCol="quantiles",
            quantileProbabilities=[0.1, 0.5, 0.9],
        )
    ]


# -- clusters, recommendations, tuning --------------------------------------------------------------------------------


@case("vectors")
def means() -> list[Any]:
    from pyspark.ml.clustering import KMeans

    return [KMeans(k=3, seed=1, maxIter=3)]


@case("vectors")
def means_by_angle() -> list[Any]:
    from pyspark.ml.clustering import KMeans

    return [KMeans(featuresCol="counts", k=3, seed=1, maxIter=3, distanceMeasure="cosine")]


@case("vectors")
def bisecting() -> list[Any]:
    from pyspark.ml.clustering import BisectingKMeans

    return [BisectingKMeans(k=4, seed=1, maxIter=3)]


@case("vectors")
def bisecting_by_angle() -> list[Any]:
    from pyspark.ml.clustering import BisectingKMeans

    return [
        BisectingKMeans(featuresCol="counts", k=3, seed=1, maxIter=3, distanceMeasure="cosine"),
    ]


@case("vectors")
def mixture() -> list[Any]:
    from pyspark.ml.clustering import GaussianMixture

    return [GaussianMixture(k=2, seed=1, maxIter=3)]


@case("vectors")
def topics() -> list[Any]:
    from pyspark.ml.clustering import LDA

    return [LDA(featuresCol="counts", k=2, seed=1, maxIter=2)]


@case("vectors")
def topics_by_em() -> list[Any]:
    from pyspark.ml.clustering import LDA

    return [LDA(featuresCol="counts", k=2, seed=1, maxIter=2, optimizer="em")]


@case("ratings")
def recommended() -> list[Any]:
    from pyspark.ml.recommendation import ALS

    return [ALS(rank=2, maxIter=2, seed=1, coldStartStrategy="nan")]


@case("ratings", keep="user < 90 and item < 70")
def recommended_if_known() -> list[Any]:
    from pyspark.ml.recommendation import ALS

    return [ALS(rank=2, maxIter=2, seed=1, coldStartStrategy="drop")]


def _tuned(split: bool, inner: Any = None) -> list[Any]:
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit

    logistic = LogisticRegression(labelCol="three", maxIter=3)
    grid = ParamGridBuilder().addGrid(logistic.regParam, [0.01, 1.0]).build()
    judge = MulticlassClassificationEvaluator(labelCol="three")
    estimator = inner(logistic) if inner else logistic
    if split:
        return [TrainValidationSplit(estimator=estimator, estimatorParamMaps=grid, evaluator=judge, seed=1)]
    return [CrossValidator(estimator=estimator, estimatorParamMaps=grid, evaluator=judge, numFolds=2, seed=1)]


def _scaled_first(last: Any) -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import StandardScaler

    return Pipeline(
        stages=[StandardScaler(inputCol="features", outputCol="scaled"), last.setFeaturesCol("scaled")]
    )


def _rest(last: Any) -> Any:
    from pyspark.ml.classification import OneVsRest

    return OneVsRest(classifier=last.setThreshold(0.5), labelCol="three")


for _java in (False, True):
    _end = "_in_scala" if _java else ""
    CASES.append(Case(f"cross_validated{_end}", "vectors", lambda: _tuned(False, _scaled_first), java=_java))
    CASES.append(Case(f"split_validated{_end}", "vectors", lambda: _tuned(True), java=_java))


@case("vectors")
def nested() -> list[Any]:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import MaxAbsScaler, VectorSlicer

    inner = Pipeline(
        stages=[
            MaxAbsScaler(inputCol="features", outputCol="scaled"),
            Pipeline(stages=[VectorSlicer(inputCol="scaled", outputCol="few", indices=[0, 2])]),
        ]
    )
    return [inner, LogisticRegression(featuresCol="few", labelCol="two", maxIter=3), Pipeline(stages=[])]
