"""Breaks the scorer on purpose, stage by stage, and sees whether the comparison with Spark notices.

    .venv/bin/python tests/parity/mutate.py            every break, one after the other; about ten minutes
    .venv/bin/python tests/parity/mutate.py idf pca    those whose name holds one of the words

Each break is made in a copy of the package. What is left standing is a hole in the tests; the exit code says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]


@frozen
class Break:
    """One change that makes a stage wrong, and the test that has to see it.

    Attributes:
        name: The stage.
        module: Where it is, below ``wmlclient/scoring``.
        right: What stands there.
        wrong: What is put in its place.
        tests: The file of ``tests/parity`` and the test in it.
    """

    name: str
    module: str
    right: str
    wrong: str
    tests: str


BREAKS = [
    Break(
        "Binarizer",
        "stages/numeric.py",
        "((values > limit).astype(np.float64),)",
        "((values >= limit).astype(np.float64),)",
        "test_numeric.py::test_columns_without_nulls",
    ),
    Break(
        "Bucketizer",
        "stages/numeric.py",
        "buckets[values == last] = extra - 1.0",
        "buckets[values == last] = extra",
        "test_numeric.py::test_columns_without_nulls",
    ),
    Break(
        "ImputerModel",
        "stages/numeric.py",
        "value == missing or (nan and value != value)",
        "(nan and value != value)",
        "test_numeric.py::test_imputer",
    ),
    Break(
        "ImputerModel, columns",
        "stages/numeric.py",
        "np.isnan(values) if nan else values == missing",
        "np.isnan(values)",
        "test_numeric.py::test_imputer_of_columns_without_nulls",
    ),
    Break(
        "Tokenizer",
        "stages/text.py",
        "    if not parts[-1] and len(parts) > 1:\n        while",
        "    if False:\n        while",
        "test_text.py::test_tokenizer",
    ),
    Break(
        "RegexTokenizer",
        "stages/text.py",
        "utf16_length(word) >= least",
        "utf16_length(word) > least",
        "test_text.py::test_regex_tokenizer",
    ),
    Break(
        "StopWordsRemover",
        "stages/text.py",
        "return (word if word is None else lower(word)) not in words",
        "return word not in words",
        "test_text.py::test_stop_words_remover",
    ),
    Break(
        "NGram",
        "stages/text.py",
        "for i in range(n)",
        "for i in range(max(n - 1, 1))",
        "test_text.py::test_ngram",
    ),
    Break(
        "CountVectorizerModel",
        "stages/text.py",
        "len(terms) * least",
        "least",
        "test_text.py::test_count_vectorizer",
    ),
    Break(
        "HashingTF",
        "stages/hashing.py",
        "size, binary)",
        "size, False)",
        "test_text.py::test_hashing_tf",
    ),
    Break(
        "IDFModel",
        "stages/hashing.py",
        "block.values * array[block.indices]",
        "block.values + array[block.indices]",
        "test_text.py::test_idf",
    ),
    Break(
        "StringIndexerModel",
        "stages/indexing.py",
        'if invalid == "keep":\n            return unseen',
        'if invalid == "keep":\n            return 0.0',
        "test_features.py::test_string_indexer",
    ),
    Break(
        "IndexToString",
        "stages/indexing.py",
        "return labels[index]",
        "return labels[index - 1]",
        "test_features.py::test_index_to_string",
    ),
    Break(
        "OneHotEncoderModel",
        "stages/indexing.py",
        "0 if params.dropLast is False else 1",
        "1",
        "test_features.py::test_one_hot_encoder",
    ),
    Break(
        "VectorAssembler",
        "stages/vectors.py",
        "(8 * size - 17) // 12 if size > 2 else -1",
        "(8 * size - 5) // 12 if size > 2 else -1",
        "test_features.py::test_vector_assembler_of_zeros",
    ),
    Break(
        "StandardScalerModel",
        "stages/scaling.py",
        "[(f - shift) * by for",
        "[f * by - shift for",
        "test_features.py::test_standard_scaler",
    ),
    Break(
        "MinMaxScalerModel",
        "stages/rescaling.py",
        "(least + most) / 2.0",
        "least",
        "test_rescaling.py::test_min_max_scaler",
    ),
    Break(
        "RobustScalerModel",
        "stages/rescaling.py",
        "factors if scaling else None",
        "factors",
        "test_rescaling.py::test_robust_scaler",
    ),
    Break(
        "Normalizer",
        "stages/rescaling.py",
        "[value / length for value in values]",
        "[value * (1.0 / length) for value in values]",
        "test_rescaling.py::test_normalizer",
    ),
    Break(
        "PCAModel",
        "stages/projection.py",
        "transposed.num_rows\n",
        "transposed.num_rows - 1\n",
        "test_projection.py::test_pca",
    ),
    Break(
        "DCT",
        "stages/projection.py",
        "(1.0 if k == 0 else 2.0)",
        "2.0",
        "test_projection.py::test_dct",
    ),
    Break(
        "PolynomialExpansion",
        "stages/expansion.py",
        "term[before == 0.0] = 0.0",
        "pass",
        "test_expansion.py::test_polynomial_expansion",
    ),
    Break(
        "Interaction",
        "stages/interaction.py",
        "at += place * step",
        "at += place",
        "test_expansion.py::test_interaction_of_categories",
    ),
    Break(
        "Interaction of vectors",
        "stages/interaction.py",
        "active = enumerate(vector) if dense",
        "active = ((at, v) for at, v in enumerate(vector) if v) if dense",
        "test_expansion.py::test_interaction_of_vectors",
    ),
    Break(
        "VectorIndexerModel",
        "stages/selection.py",
        "return float(len(index[feature]))",
        "return 0.0",
        "test_selection.py::test_vector_indexer",
    ),
    Break(
        "Word2VecModel",
        "stages/embedding.py",
        "return Sparse(size, [], [])",
        "return [0.0] * size",
        "test_embedding.py::test_word2vec",
    ),
    Break(
        "FeatureHasher",
        "stages/embedding.py",
        "if value.__class__ is bool:",
        "if False:",
        "test_embedding.py::test_feature_hasher",
    ),
    Break(
        "MinHashLSHModel",
        "stages/embedding.py",
        "(at * a + b) % PRIME",
        "(at * a) % PRIME",
        "test_embedding.py::test_min_hash_lsh",
    ),
    Break(
        "NaiveBayesModel",
        "stages/bayes.py",
        "logs.append(total)",
        "logs.append(0.0)",
        "test_classifiers.py::test_naive_bayes",
    ),
    Break(
        "LinearSVCModel",
        "stages/classifiers.py",
        "margin > threshold",
        "margin < threshold",
        "test_classifiers.py::test_linear_svc",
    ),
    Break(
        "FMClassificationModel",
        "stages/classifiers.py",
        "0.5 * (total * total - squares)",
        "0.5 * total * total",
        "test_classifiers.py::test_factorization_machines",
    ),
    Break(
        "MultilayerPerceptron",
        "stages/classifiers.py",
        "out.append(total + bias)",
        "out.append(total)",
        "test_classifiers.py::test_multilayer_perceptron",
    ),
    Break(
        "OneVsRestModel",
        "stages/one_vs_rest.py",
        "raw(vector)[1] for raw in rows",
        "raw(vector)[0] for raw in rows",
        "test_classifiers.py::test_one_vs_rest",
    ),
    Break(
        "LogisticRegressionModel",
        "stages/logistic.py",
        "return [-margin, margin], [no, yes]",
        "return [-margin, margin], [yes, no]",
        "test_logistic.py::test_binomial",
    ),
    Break(
        "DecisionTree",
        "stages/trees_read.py",
        "values[feature] <= split else",
        "values[feature] < split else",
        "test_trees.py::test_decision_tree_classifier",
    ),
    Break(
        "RandomForest, thresholds alone",
        "stages/trees_read.py",
        "values[feature] <= threshold else",
        "values[feature] < threshold else",
        "test_trees.py::test_thresholds_alone",
    ),
    Break(
        "LinearRegressionModel",
        "stages/regression.py",
        "return dot(vector) + intercept\n",
        "return dot(vector)\n",
        "test_regression.py::test_linear_regression",
    ),
    Break(
        "GeneralizedLinearRegressionModel",
        "stages/regression.py",
        "1.0 - exp(-1.0 * exp(eta))",
        "exp(-1.0 * exp(eta))",
        "test_regression.py::test_glm_of_each_family_and_link",
    ),
    Break(
        "IsotonicRegressionModel",
        "stages/isotonic.py",
        "y1 + divide((y2 - y1) * (key - x1), x2 - x1)",
        "y1 + (y2 - y1) * divide(key - x1, x2 - x1)",
        "test_regression.py::test_isotonic_regression",
    ),
    Break(
        "KMeansModel",
        "stages/clustering.py",
        "if found < best:\n                    best, place, beside",
        "if found <= best:\n                    best, place, beside",
        "test_clustering.py::test_kmeans",
    ),
    Break(
        "GaussianMixtureModel",
        "stages/mixture.py",
        "EPSILON + weight * g.density(vector)",
        "weight * g.density(vector)",
        "test_clustering.py::test_gaussian_mixture",
    ),
    Break(
        "LocalLDAModel",
        "stages/topics.py",
        "_SEED = 1421925485",
        "_SEED = 5",
        "test_clustering.py::test_lda",
    ),
    Break(
        "ALSModel",
        "stages/recommendation.py",
        "total[unknown] = np.nan",
        "pass",
        "test_recommendation.py::test_als",
    ),
]


def main(words: list[str]) -> int:
    chosen = [
        each for each in BREAKS if not words or any(word.lower() in each.name.lower() for word in words)
    ]
    standing = []
    with tempfile.TemporaryDirectory(prefix="wmlclient-breaks-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "wmlclient", copy / "wmlclient", ignore=shutil.ignore_patterns("__pycache__"))
        for each in chosen:
            seen, what = is_seen(each, copy)
            print(f"{'seen' if seen else 'NOT SEEN':<9}{each.name:<40}{what}", flush=True)
            if not seen:
                standing.append(each.name)
    print(f"{len(chosen) - len(standing)} of {len(chosen)} breaks were seen")
    return 1 if standing or not chosen else 0


def is_seen(each: Break, copy: Path) -> tuple[bool, str]:
    """Whether the stage's test fails when the stage is broken, and what pytest says of it."""
    path = copy / "wmlclient" / "scoring" / each.module
    text = path.read_text(encoding="utf-8")
    if each.right not in text:
        return False, f"{each.right!r} is not in {each.module} any more"
    path.write_text(text.replace(each.right, each.wrong), encoding="utf-8")
    try:
        # Not python -m pytest: that looks for the package in the working directory first.
        pytest = str(Path(sys.executable).with_name("pytest"))
        command = [pytest, "-q", "-x", "-p", "no:cacheprovider", "-m", "spark"]
        done = subprocess.run(
            [*command, f"tests/parity/{each.tests}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
    finally:
        path.write_text(text, encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.startswith("E  ")]
    reason = lines[0][1:].strip()[:90] if lines else done.stdout.strip().splitlines()[-1][:90]
    return done.returncode == 1 and " failed" in done.stdout.strip().splitlines()[-1], reason


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
