"""Parquet files read in a process of their own: what comes back, and what becomes of that process."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from saved_by_hand import MATRIX, NODE, REGRESSOR, VECTOR, Leaf, Split, dense, matrix, tree

from wmlclient.scoring import apart
from wmlclient.scoring.apart import Form, ReadingProcess
from wmlclient.scoring.errors import ArchiveError
from wmlclient.scoring.footer import Unreadable

NAN = float("nan")
LEAF = {
    "id": 0, "prediction": -0.0, "impurity": NAN, "impurityStats": [1.0, 2.0], "rawCount": 3, "gain": -1.0,
    "leftChild": -1, "rightChild": -1,
    "split": {"featureIndex": -1, "leftCategoriesOrThreshold": [], "numCategories": -1},
}  # fmt: skip
COLUMNS = {
    "text": pa.array(["é", None]),
    "number": pa.array([NAN, -0.0]),
    "long": pa.array([2**63 - 1, None], pa.int64()),
    "vector": pa.array([dense([1.0, float("inf")]), None], VECTOR),
    "sparse": pa.array([{"type": 0, "size": 9, "indices": [3], "values": [0.5]}] * 2, VECTOR),
    "matrix": pa.array([matrix([[1.0, 2.0], [3.0, 4.0]], transposed=False)] * 2, MATRIX),
    "vectors": pa.array([[dense([1.0])], []], pa.list_(VECTOR)),
    "node": pa.array([LEAF, {**LEAF, "impurityStats": []}], NODE),
}


@pytest.fixture
def process() -> Iterator[ReadingProcess]:
    reading = ReadingProcess()
    yield reading
    if reading._process is not None:
        reading._process.kill()
        reading._process.communicate()


def written(folder: Path, columns: dict[str, Any]) -> list[Path]:
    file = folder / "part-0.parquet"
    parquet.write_table(pa.table(columns), file)
    return [file]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict | list | tuple):
        pairs = (
            zip(one.items(), other.items(), strict=True)
            if isinstance(one, dict)
            else zip(one, other, strict=True)
        )
        return type(one) is type(other) and all(same(*pair) for pair in pairs)
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_it_is_the_same_as_read_here(tmp_path: Path, process: ReadingProcess, form: Form) -> None:
    files = written(tmp_path, COLUMNS)
    found = process.read(form, files)
    assert same(found, apart.read(form, files))
    if form == "rows":
        assert list(found[0]) == list(COLUMNS)
        assert found[0]["sparse"].indices == [3]
        assert found[0]["matrix"].dense() == [[1.0, 2.0], [3.0, 4.0]]
    else:
        assert found["text"] is None
        assert [part.tolist() for part in found["node"]["impurityStats"]] == [[1.0, 2.0], [0, 2, 2]]


def test_what_is_wrong_is_said_as_here(tmp_path: Path, process: ReadingProcess) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    too_wide = {"v": pa.array([{"type": 0, "size": 2**30, "indices": [], "values": []}], VECTOR)}
    for files, kind in ([broken], Unreadable), (written(tmp_path, too_wide), ArchiveError):
        said = []
        for read in (process.read, apart.read):
            with pytest.raises(kind) as caught:
                read("rows", files)
            said.append(str(caught.value))
        assert said[0] == said[1]


def test_a_file_that_ends_the_process_is_named_and_the_next_is_read(
    tmp_path: Path, process: ReadingProcess
) -> None:
    files = written(tmp_path, {"x": pa.array([1.0])})
    stuck = tmp_path / "stuck.parquet"
    os.mkfifo(stuck)
    process.read("rows", files)
    first = process._process
    assert first is not None
    said: list[str] = []

    def read_stuck() -> None:
        with pytest.raises(Unreadable) as caught:
            process.read("rows", [stuck])
        said.append(str(caught.value))

    asking = threading.Thread(target=read_stuck)
    asking.start()
    _wait_for(lambda: process._lock.locked())
    time.sleep(0.1)
    first.kill()
    asking.join(30)
    assert said == ["is not readable Parquet: the process that read it ended with SIGKILL"]
    assert process.read("rows", files) == [{"x": 1.0}]
    assert process._process is not first


def test_it_comes_again_after_it_had_nothing_to_do(tmp_path: Path, process: ReadingProcess) -> None:
    files = written(tmp_path, {"x": pa.array([1.0])})
    assert process.read("rows", files) == [{"x": 1.0}]
    first = process._process
    assert first is not None
    assert first.stdin is not None
    # As it ends by itself: its pipe is there, and nobody at the other end.
    first.stdin.close()
    assert first.wait(30) == 0
    first.stdin = os.fdopen(_without_reader(), "wb")
    assert process.read("rows", files) == [{"x": 1.0}]
    assert process._process is not first


def _without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_it_ends_by_itself() -> None:
    code = (
        "import sys\n"
        "from wmlclient.scoring import apart\n"
        "apart.IDLE_SECONDS = 0.05\n"
        "apart._serve(sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as idle:
        assert idle.wait(30) == 0


def test_nothing_but_values_is_taken_from_it(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "made"),)

    with pytest.raises(pickle.UnpicklingError, match="mkdir is not expected"):
        apart._Unpickler(io.BytesIO(pickle.dumps((None, Evil())))).load()
    assert not (tmp_path / "made").exists()


def test_a_server_that_reads_apart_never_loads_the_library(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from wmlclient.scoring.apart import read_apart\n"
        "read_apart()\n"
        "assert 'numpy' not in sys.modules\n"
        "from wmlclient import scoring\n"
        "scoring.load(sys.argv[1])\n"
        "print(json.dumps([name for name in ('pyarrow', 'pandas') if name in sys.modules]))\n"
    )
    model = tree(tmp_path / "m", REGRESSOR, Split(0, Leaf(1.0), Leaf(2.0), 0.5), 1)
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
