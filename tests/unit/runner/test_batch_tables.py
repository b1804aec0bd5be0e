"""Batches on tables, in this process: SQL through the code that every database takes, and Delta Lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import saved_models

from wmlclient import scoring
from wmlclient.runner.batch.failures import JobFailed
from wmlclient.runner.batch.job import Job
from wmlclient.runner.engine.errors import Forbidden, Invalid
from wmlclient.runner.engine.places import Folders, batch_places

SCHEMA = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}
TEXTS = ["what a day", "so sad", "so glad"]
SERVER = {"host": "db", "db": "d", "username": "u", "password": "sql-s3cr3t"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs a job from one place to another; returns its counts."""

    def run(source: dict[str, Any], target: dict[str, Any]) -> Any:
        places = batch_places({"input": source, "output": target}, Folders((tmp_path,)))
        job = {"id": "j", "model_dir": str(model), "schema": SCHEMA, "engine": "native", "processes": 0}
        job |= {"source": places.source, "target": places.target, "bad_rows": places.bad_rows}
        return Job(job, lambda message: None, None).run()  # type: ignore[arg-type]

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tweets (ID INTEGER PRIMARY KEY, text TEXT, price NUMERIC(8, 2))")
        rows = [(number, text, 1.5) for number, text in enumerate(TEXTS)]
        connection.executemany("INSERT INTO tweets VALUES (?, ?, ?)", rows)
    connection.close()
    return path


def table(path: Path, name: str, end: str) -> dict[str, Any]:
    return {"connection": {"db": str(path)}, end: {"type": "sqlite", "tablename": name}}


def file(path: Path, end: str) -> dict[str, Any]:
    return {end: {"type": "file", "filename": str(path)}}


def rows(path: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def tables(path: Path) -> list[str]:
    return [
        name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]


def test_table_to_table(run: Callable[..., Any], model: Path, shop: Path) -> None:
    counts = run(table(shop, "tweets", "source"), table(shop, "scored", "target"))
    assert counts == {"rows_read": 3, "rows_written": 3, "rows_bad": 0}
    answers = scoring.load(model, SCHEMA).score([{"id": 0, "text": text} for text in TEXTS])
    found = rows(shop, "SELECT id, text, price, prediction, words FROM scored ORDER BY id")
    assert [row[:4] for row in found] == [
        (number, text, 1.5, answer["prediction"])
        for number, (text, answer) in enumerate(zip(TEXTS, answers, strict=True))
    ]
    assert found[0][4] == '["what","a","day"]'
    assert tables(shop) == ["scored", "tweets"]


def test_a_table_that_is_there_is_replaced_and_bad_rows_have_one_of_their_own(
    run: Callable[..., Any], shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,what a day\ntwo,so sad\n", "utf-8")
    for source in ("in.csv", "in.csv"):
        counts = run(file(tmp_path / source, "source"), table(shop, "scored", "target"))
        assert counts == {"rows_read": 2, "rows_written": 1, "rows_bad": 1}
        assert rows(shop, "SELECT id FROM scored") == [(1,)]
        ((row, reason, record),) = rows(shop, "SELECT * FROM scored_bad_rows")
        assert (row, record) == (1, '{"id":"two","text":"so sad"}')
        assert "'two' is no int" in reason
    (tmp_path / "good.csv").write_text("id,text\n7,so glad\n", "utf-8")
    run(file(tmp_path / "good.csv", "source"), table(shop, "scored", "target"))
    assert rows(shop, "SELECT id FROM scored") == [(7,)]
    assert rows(shop, "SELECT * FROM scored_bad_rows") == []


def test_values_that_are_not_of_their_type_are_bad_rows(
    run: Callable[..., Any], tmp_path: Path, shop: Path
) -> None:
    with sqlite3.connect(shop) as connection:
        connection.execute("INSERT INTO tweets VALUES (9999999999, 'so bad', NULL)")
    connection.close()
    counts = run(table(shop, "tweets", "source"), file(tmp_path / "out.csv", "target"))
    assert counts == {"rows_read": 4, "rows_written": 3, "rows_bad": 1}
    assert "9999999999" in (tmp_path / "out.csv.bad-rows.jsonl").read_text("utf-8")


def test_a_failure_leaves_the_table_as_it_was(run: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    with sqlite3.connect(shop) as connection:
        connection.execute("CREATE TABLE narrow (id INTEGER, text TEXT)")
        connection.execute("INSERT INTO narrow VALUES (5, 'kept')")
    connection.close()
    with pytest.raises(JobFailed, match="'narrow' has no column 'price'") as failed:
        run(table(shop, "tweets", "source"), table(shop, "narrow", "target"))
    assert failed.value.code == "sql_error"
    assert rows(shop, "SELECT * FROM narrow") == [(5, "kept")]
    (tmp_path / "other.csv").write_text("id,words\n1,x\n", "utf-8")
    with pytest.raises(JobFailed, match="lacks the column 'text'"):
        run(file(tmp_path / "other.csv", "source"), table(shop, "new", "target"))
    assert tables(shop) == ["narrow", "tweets"]


@pytest.mark.parametrize(
    ("source", "word"), [("nothing", "There is no sqlite table"), ("tweets", "cannot be used")]
)
def test_no_such_table_and_no_database(
    run: Callable[..., Any], shop: Path, tmp_path: Path, source: str, word: str
) -> None:
    path = shop
    if source == "tweets":
        path = tmp_path / "broken.db"
        path.write_text("this is no database at all, by any means", "utf-8")
    with pytest.raises(JobFailed, match=word) as failed:
        run(table(path, source, "source"), file(tmp_path / "out.csv", "target"))
    assert failed.value.code == "sql_error"
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("connection", "place", "member"),
    [
        (SERVER, {"type": "db2", "tablename": "a b"}, "input.source.tablename"),
        (SERVER, {"type": "db2"}, "input.source.tablename"),
        (SERVER, {"type": "oracle", "tablename": "t"}, "input.source.type"),
        ({**SERVER, "host": "a/b"}, {"type": "dashdb", "tablename": "t"}, "input.connection.host"),
        ({**SERVER, "port": 0}, {"type": "dashdb", "tablename": "t"}, "input.connection.port"),
        ({**SERVER, "password": ""}, {"type": "postgresql", "tablename": "t"}, "input.connection.password"),
        (None, {"type": "postgresql", "tablename": "t"}, "input.connection"),
    ],
)
def test_places_that_are_wrong(tmp_path: Path, connection: Any, place: dict[str, Any], member: str) -> None:
    body = {
        "input": {"connection": connection, "source": place},
        "output": file(tmp_path / "o.csv", "target"),
    }
    with pytest.raises(Invalid) as refused:
        batch_places(body, Folders((tmp_path,)))
    assert refused.value.target == {"type": "field", "name": member}


def test_places_of_tables(tmp_path: Path) -> None:
    place = {"connection": SERVER, "source": {"type": "dashdb", "tablename": "S.T"}}
    places = batch_places(
        {"input": place, "output": file(tmp_path / "o.csv", "target")}, Folders((tmp_path,))
    )
    assert places.source["connection"] == {**SERVER, "port": 50000}
    assert (places.source["database"], places.source["table"]) == ("db2", "S.T")
    other = {"connection": SERVER, "target": {"type": "dashdb", "tablename": "S.T"}}
    with pytest.raises(Invalid, match="write over its own source"):
        batch_places({"input": place, "output": other}, Folders((tmp_path,)))
    elsewhere = {**other, "connection": {**SERVER, "host": "other"}}
    assert batch_places({"input": place, "output": elsewhere}, Folders()).bad_rows["table"] == "S.T_bad_rows"
    with pytest.raises(Forbidden):
        batch_places(
            {"input": table(Path("/etc/x.db"), "t", "source"), "output": other}, Folders((tmp_path,))
        )


def test_delta_to_delta(run: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    import pyarrow as pa

    given = pa.table({"id": pa.array(range(3), pa.int32()), "text": TEXTS, "note": [["a"], [], None]})
    deltalake.write_deltalake(str(tmp_path / "in.delta"), given)
    for _ in range(2):
        counts = run(file(tmp_path / "in.delta", "source"), file(tmp_path / "out.delta", "target"))
        assert counts == {"rows_read": 3, "rows_written": 3, "rows_bad": 0}
    made = deltalake.DeltaTable(str(tmp_path / "out.delta"))
    found = made.to_pyarrow_table()
    answers = scoring.load(model, SCHEMA).score([{"id": 0, "text": text} for text in TEXTS])
    assert found["prediction"].to_pylist() == [answer["prediction"] for answer in answers]
    assert found["note"].to_pylist() == [["a"], [], None]
    assert made.version() == 1
    (tmp_path / "in.csv").write_text("id,text\n1,what a day\ntwo,so sad\n", "utf-8")
    assert run(file(tmp_path / "in.csv", "source"), file(tmp_path / "out.delta", "target"))["rows_bad"] == 1
    assert len(deltalake.DeltaTable(str(tmp_path / "out.delta")).to_pyarrow_table()) == 1
    assert "'two' is no int" in (tmp_path / "out.delta.bad-rows.jsonl").read_text("utf-8")


def test_a_delta_table_keeps_its_version_where_a_job_fails(run: Callable[..., Any], tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    import pyarrow as pa

    with pytest.raises(JobFailed, match="there is no Delta table"):
        run(file(tmp_path / "none.delta", "source"), file(tmp_path / "out.csv", "target"))
    deltalake.write_deltalake(str(tmp_path / "out.delta"), pa.table({"a": [1]}))
    (tmp_path / "other.csv").write_text("id,words\n1,x\n", "utf-8")
    with pytest.raises(JobFailed, match="lacks the column 'text'"):
        run(file(tmp_path / "other.csv", "source"), file(tmp_path / "out.delta", "target"))
    assert deltalake.DeltaTable(str(tmp_path / "out.delta")).version() == 0


@pytest.mark.parametrize("name", ["a ü #1 {y,z}?*", "100% a:b"])
def test_a_delta_table_in_a_folder_of_any_name(run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    pytest.importorskip("deltalake")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "in.csv").write_text("id,text\n1,what a day\n", "utf-8")
    run(file(folder / "in.csv", "source"), file(folder / "out.delta", "target"))
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "out.delta"]


@pytest.mark.parametrize(("name", "part"), [("a%20b", "%20"), ("[x]", "["), ("b\\c", "\\")])
def test_names_that_the_package_of_delta_takes_for_others_are_refused(
    run: Callable[..., Any], tmp_path: Path, name: str, part: str
) -> None:
    pytest.importorskip("deltalake")
    (tmp_path / "in.csv").write_text("id,text\n1,what a day\n", "utf-8")
    (tmp_path / name).mkdir()
    for source, target in (("in.csv", f"{name}/out.delta"), (f"{name}/in.delta", "out.csv")):
        with pytest.raises(JobFailed) as caught:
            run(file(tmp_path / source, "source"), file(tmp_path / target, "target"))
        assert caught.value.code == "not_supported"
        assert f"takes {part!r} in" in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*") if "delta" in path.name) == []
