"""Cases of the corpus: feature transformers, a few side by side in each."""

from __future__ import annotations

from typing import Any

from corpus_cases import case


@case("text", without=("label",))
def words() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.Tokenizer(inputCol="text", outputCol="words"),
        f.RegexTokenizer(inputCol="text", outputCol="parts", pattern="\\W+", minTokenLength=2),
        f.RegexTokenizer(
            inputCol="text", outputCol="found", pattern="[a-zé]+", gaps=False, toLowercase=False
        ),
        f.StopWordsRemover(inputCol="words", outputCol="content"),
        f.StopWordsRemover(
            inputCols=["parts", "found"], outputCols=["p", "q"], stopWords=["the", "love"], caseSensitive=True
        ),
        f.NGram(inputCol="content", outputCol="pairs", n=2),
    ]


@case("text", without=("label",))
def counted() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.Tokenizer(inputCol="text", outputCol="words"),
        f.HashingTF(inputCol="words", outputCol="hash", numFeatures=1000),
        f.HashingTF(inputCol="words", outputCol="bits", numFeatures=64, binary=True),
        f.CountVectorizer(inputCol="words", outputCol="counts", minDF=2.0),
        f.CountVectorizer(inputCol="words", outputCol="often", minTF=0.2, binary=True, vocabSize=12),
        f.IDF(inputCol="hash", outputCol="weight"),
        f.IDF(inputCol="counts", outputCol="rare", minDocFreq=3),
        f.Normalizer(inputCol="rare", outputCol="unit"),
    ]


@case("text", without=("label",))
def word_vectors() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.Tokenizer(inputCol="text", outputCol="words"),
        f.Word2Vec(inputCol="words", outputCol="place", vectorSize=3, minCount=2, seed=7, maxIter=1),
    ]


@case("mixed")
def indexing() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.StringIndexer(inputCol="kind", outputCol="code", handleInvalid="keep"),
        f.StringIndexer(
            inputCols=["letter", "kind"],
            outputCols=["l", "k"],
            handleInvalid="keep",
            stringOrderType="alphabetDesc",
        ),
        f.IndexToString(inputCol="l", outputCol="again", labels=["c", "rare", "b", "a", "other"]),
        f.OneHotEncoder(inputCol="l", outputCol="hot", handleInvalid="keep"),
        f.OneHotEncoder(inputCols=["l"], outputCols=["hl"], dropLast=False),
    ]


@case("mixed", keep="letter != 'rare' and y is not null")
def skipping() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.StringIndexer(inputCol="letter", outputCol="code", handleInvalid="skip"),
        f.VectorAssembler(inputCols=["code", "x", "y"], outputCol="all", handleInvalid="skip"),
        f.Bucketizer(inputCol="x", outputCol="b", splits=[-4.0, -1.0, 1.0, 4.0], handleInvalid="skip"),
    ]


@case("mixed")
def numbers() -> list[Any]:
    from pyspark.ml import feature as f

    infinity = float("inf")
    return [
        f.Imputer(inputCols=["x", "y"], outputCols=["x1", "y1"]),
        f.Imputer(inputCol="y", outputCol="y2", strategy="median", missingValue=-4.0),
        f.Imputer(inputCols=["n"], outputCols=["n1"], strategy="mode"),
        f.Binarizer(inputCol="x1", outputCol="sign", threshold=0.25),
        f.Binarizer(inputCols=["x1", "y1"], outputCols=["xs", "ys"], thresholds=[-1.0, 1.5]),
        f.Bucketizer(
            inputCol="y", outputCol="b", splits=[-infinity, -1.0, 0.0, infinity], handleInvalid="keep"
        ),
        f.QuantileDiscretizer(inputCols=["x1", "y1"], outputCols=["xq", "yq"], numBuckets=4),
        f.VectorAssembler(inputCols=["x", "y", "n"], outputCol="some", handleInvalid="keep"),
        f.FeatureHasher(inputCols=["x1", "kind", "flag", "n1"], outputCol="hashed", numFeatures=32),
    ]


@case("vectors")
def scaled() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.StandardScaler(inputCol="features", outputCol="s1"),
        f.StandardScaler(inputCol="features", outputCol="s2", withMean=True, withStd=False),
        f.MinMaxScaler(inputCol="features", outputCol="s3", min=-1.0, max=2.0),
        f.MaxAbsScaler(inputCol="features", outputCol="s4"),
        f.RobustScaler(inputCol="features", outputCol="s5", withCentering=True, lower=0.1, upper=0.8),
        f.Normalizer(inputCol="features", outputCol="s6", p=1.0),
    ]


@case("vectors")
def reshaped() -> list[Any]:
    from pyspark.ml import feature as f
    from pyspark.ml.linalg import Vectors

    return [
        f.PCA(inputCol="features", outputCol="v1", k=2),
        f.PolynomialExpansion(inputCol="bits", outputCol="v2", degree=2),
        f.DCT(inputCol="features", outputCol="v3"),
        f.DCT(inputCol="counts", outputCol="v4", inverse=True),
        f.ElementwiseProduct(
            inputCol="features", outputCol="v5", scalingVec=Vectors.dense([1, 0.5, -2, 0, 3])
        ),
        f.VectorSlicer(inputCol="features", outputCol="v6", indices=[4, 0, 2]),
        f.VectorSizeHint(inputCol="features", size=5, handleInvalid="optimistic"),
        f.VectorAssembler(inputCols=["features", "bits", "two"], outputCol="v7"),
        f.VectorAssembler(inputCols=["two", "target"], outputCol="pair"),
        f.Interaction(inputCols=["three", "pair", "positive"], outputCol="v8"),
    ]


@case("vectors")
def selected() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.VectorIndexer(inputCol="features", outputCol="w1", maxCategories=4, handleInvalid="keep"),
        f.ChiSqSelector(featuresCol="counts", outputCol="w2", labelCol="three", numTopFeatures=2),
        f.UnivariateFeatureSelector(
            featuresCol="features", outputCol="w3", labelCol="two", selectionMode="numTopFeatures"
        )
        .setFeatureType("continuous")
        .setLabelType("categorical")
        .setSelectionThreshold(2),
        f.VarianceThresholdSelector(featuresCol="features", outputCol="w4", varianceThreshold=3.0),
        f.BucketedRandomProjectionLSH(
            inputCol="features", outputCol="w5", bucketLength=2.0, numHashTables=2, seed=3
        ),
        f.MinHashLSH(inputCol="bits", outputCol="w6", numHashTables=3, seed=3),
    ]


@case("whole", without=("label",))
def targets() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.StringIndexer(inputCols=["kind", "letter"], outputCols=["k", "l"]),
        f.TargetEncoder(
            inputCols=["k", "l"],
            outputCols=["tk", "tl"],
            labelCol="label",
            targetType="continuous",
            smoothing=0.5,
            handleInvalid="keep",
        ),
    ]


@case("whole", without=("said",))
def formula() -> list[Any]:
    from pyspark.ml import feature as f

    return [
        f.RFormula(
            formula="said ~ x + kind:letter + n", labelCol="truth", handleInvalid="keep", forceIndexLabel=True
        )
    ]


@case("whole")
def formula_of_numbers() -> list[Any]:
    from pyspark.ml import feature as f

    return [f.RFormula(formula="label ~ . - row_number", featuresCol="all", labelCol="truth")]


@case("whole")
def statement() -> list[Any]:
    from pyspark.ml import feature as f

    sql = (
        "SELECT *, x + y * 2 AS sum, coalesce(kind, letter) AS word, "
        "CASE WHEN n > 2 THEN 'many' ELSE 'few' END AS size FROM __THIS__"
    )
    return [f.SQLTransformer(statement=sql), f.Tokenizer(inputCol="word", outputCol="words")]
