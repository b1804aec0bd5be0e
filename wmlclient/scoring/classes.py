"""The classes that Spark ML itself can save, by name.

Spark loads a stage by calling into the class that its metadata names, whatever that is. So a model's classes are
looked up here before Spark sees it, and a name that merely looks like one of Spark's is not enough. The list is
what Spark 3.4 to 4.2 can read back; SparkR's wrappers, which hold a model rather than being one, are left out.
"""

from __future__ import annotations

__all__ = ["PYTHON", "is_known"]

_JAVA = {
    "": """
        Pipeline PipelineModel
    """,
    "classification": """
        DecisionTreeClassificationModel DecisionTreeClassifier FMClassificationModel FMClassifier
        GBTClassificationModel GBTClassifier LinearSVC LinearSVCModel LogisticRegression
        LogisticRegressionModel MultilayerPerceptronClassificationModel
        MultilayerPerceptronClassifier NaiveBayes NaiveBayesModel OneVsRest OneVsRestModel
        RandomForestClassificationModel RandomForestClassifier
    """,
    "clustering": """
        BisectingKMeans BisectingKMeansModel DistributedLDAModel GaussianMixture
        GaussianMixtureModel KMeans KMeansModel LDA LocalLDAModel PowerIterationClustering
    """,
    "evaluation": """
        BinaryClassificationEvaluator ClusteringEvaluator MulticlassClassificationEvaluator
        MultilabelClassificationEvaluator RankingEvaluator RegressionEvaluator
    """,
    "feature": """
        Binarizer BucketedRandomProjectionLSH BucketedRandomProjectionLSHModel Bucketizer
        ChiSqSelector ChiSqSelectorModel ColumnPruner CountVectorizer CountVectorizerModel DCT
        ElementwiseProduct FeatureHasher HashingTF IDF IDFModel Imputer ImputerModel IndexToString
        Interaction MaxAbsScaler MaxAbsScalerModel MinHashLSH MinHashLSHModel MinMaxScaler
        MinMaxScalerModel NGram Normalizer OneHotEncoder OneHotEncoderModel PCA PCAModel
        PolynomialExpansion QuantileDiscretizer RFormula RFormulaModel RegexTokenizer RobustScaler
        RobustScalerModel SQLTransformer StandardScaler StandardScalerModel StopWordsRemover
        StringIndexer StringIndexerModel TargetEncoder TargetEncoderModel Tokenizer
        UnivariateFeatureSelector UnivariateFeatureSelectorModel VarianceThresholdSelector
        VarianceThresholdSelectorModel VectorAssembler VectorAttributeRewriter VectorIndexer
        VectorIndexerModel VectorSizeHint VectorSlicer Word2Vec Word2VecModel
    """,
    "fpm": """
        FPGrowth FPGrowthModel
    """,
    "recommendation": """
        ALS ALSModel
    """,
    "regression": """
        AFTSurvivalRegression AFTSurvivalRegressionModel DecisionTreeRegressionModel
        DecisionTreeRegressor FMRegressionModel FMRegressor GBTRegressionModel GBTRegressor
        GeneralizedLinearRegression GeneralizedLinearRegressionModel IsotonicRegression
        IsotonicRegressionModel LinearRegression LinearRegressionModel RandomForestRegressionModel
        RandomForestRegressor
    """,
    "tuning": """
        CrossValidator CrossValidatorModel TrainValidationSplit TrainValidationSplitModel
    """,
}

_PYTHON = {
    "pipeline": "Pipeline PipelineModel",
    "classification": "OneVsRest OneVsRestModel",
    "tuning": "CrossValidator CrossValidatorModel TrainValidationSplit TrainValidationSplitModel",
}

PYTHON = frozenset(
    f"pyspark.ml.{package}.{name}" for package, names in _PYTHON.items() for name in names.split()
)
"""What PySpark saves by itself where a part of it has no Java writer. They are folders like the others."""

_KNOWN = PYTHON | {
    ".".join(part for part in ("org.apache.spark.ml", package, name) if part)
    for package, names in _JAVA.items()
    for name in names.split()
}


def is_known(name: str) -> bool:
    """Whether a class that metadata names is one of Spark ML's own.

    >>> is_known("org.apache.spark.ml.feature.NGram"), is_known("org.apache.spark.ml.feature.Shell")
    (True, False)
    """
    return name in _KNOWN
