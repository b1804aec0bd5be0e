"""What the README and the tutorial show is what happens: their blocks run as they stand, with real Spark and Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import blocks, runnable

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


def run_python(program: str, name: str, folder: Path) -> str:
    """Run a program in an interpreter of its own and return what it printed."""
    script = folder / f"{name}.py"
    script.write_text(program, encoding="utf-8")
    return run([sys.executable, "-W", "error::DeprecationWarning:__main__", str(script)], folder)


def run(argv: list[str], folder: Path, **env: str) -> str:
    """Run a command with ours on the PATH, and return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-4000:]
    return done.stdout


def test_tutorial(root: Path, tmp_path: Path) -> None:
    printed = run_python(runnable(root / "docs" / "tutorial.md", "python"), "tutorial", tmp_path)

    assert "native" in printed
    assert printed.splitlines()[-2:] == ["11 1.0", "12 0.0"]


def test_tour_of_the_readme(root: Path, tmp_path: Path) -> None:
    tour = blocks(root / "README.md", "python")[0][1]

    printed = run_python(tour, "tour", tmp_path)

    assert "'text': 'what a day'" in printed
    assert "'text': 'so lovely'" in printed


def test_parity_on_the_page_and_on_the_command_line(root: Path, tmp_path: Path) -> None:
    page = root / "docs" / "howto" / "parity.md"

    printed = run_python(runnable(page, "python"), "parity", tmp_path)

    assert printed.splitlines() == ["native 0", "native", "True"]
    command, digest = (code for _, code in blocks(page, "sh"))
    run(["sh", "-e", "-c", command], tmp_path)
    printed = run(["sh", "-e", "-c", digest], tmp_path)
    kept = json.loads((tmp_path / "shop.certificate.json").read_text("utf-8"))
    assert kept["engine"] == "native"
    assert kept["model_digest"] == f"sha256:{printed.split()[0]}"


def test_walk_through_with_curl(root: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    save = (
        "import sys\n"
        "from pyspark.sql import SparkSession\n"
        "from pyspark.ml import Pipeline\n"
        "from pyspark.ml.feature import HashingTF, Tokenizer\n"
        "from pyspark.ml.classification import LogisticRegression\n"
        "s = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false').getOrCreate()\n"
        "rows = [(1, 'a lovely day', 1.0), (2, 'an awful day', 0.0), (3, 'my first feels awesome', 1.0)]\n"
        "train = s.createDataFrame(rows, 'id int, text string, label double')\n"
        "stages = [Tokenizer(inputCol='text', outputCol='words'), "
        "HashingTF(inputCol='words', outputCol='features'), LogisticRegression()]\n"
        "Pipeline(stages=stages).fit(train).write().save(sys.argv[1])\n"
    )
    run([sys.executable, "-c", save, str(model)], tmp_path)
    script = tmp_path / "walk.sh"
    script.write_text(runnable(root / "docs" / "howto" / "curl.md", "sh"), encoding="utf-8")

    printed = run(["sh", str(script)], tmp_path, MODEL_DIR=str(model))

    lines = printed.splitlines()
    assert any('"what a lovely day"' in line and '"prediction"' in line for line in lines)
    received = [line for line in lines if line in ("1 0.0", "1 1.0", "2 0.0", "2 1.0")]
    assert [line[0] for line in received[:2]] == ["1", "1"]
    assert received[-1][0] == "2"
