"""The history of a running stream, scored by another version to a side topic, and the stream left alone."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificate_maker import made
from click.testing import CliRunner
from saved_models import TEXT_SCHEMA, text_pipeline
from schema_registry import schema_registry
from waiting import eventually

import wmlclient
from wmlclient import Certificate, errors, scoring
from wmlclient.cli import main
from wmlclient.groups import group_ranges
from wmlclient.streams import group_of, since_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

LOGIN = "ada:registry-s3cr3t"
SCHEMA: Any = {"type": "struct", "fields": TEXT_SCHEMA["fields"][:2]}  # type: ignore[index]
ROWS = [{"id": number, "text": f"tweet number {number}"} for number in range(200)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wmlclient.Client]:
    with wmlclient.Client.local(tmp_path_factory.mktemp("home") / "home", kafka=True) as found:
        yield found


def test_history_is_scored_by_another_version_and_the_stream_is_left_alone(
    client: wmlclient.Client, tmp_path: Path
) -> None:
    folders = [text_pipeline(tmp_path / "one"), text_pipeline(tmp_path / "two", weight=-0.5)]
    certificates = [
        Certificate.from_json(made(each, SCHEMA, training=TEXT_SCHEMA, label="label")) for each in folders
    ]
    model = client.models.publish(
        str(folders[0]),
        name="m",
        training_schema=TEXT_SCHEMA,
        label_col="label",
        certificate=certificates[0],
    )
    source, target = client.kafka.topic("in").create(2), client.kafka.topic("out").create()
    stream = model.deploy("s", source=source, target=target).wait(timeout=120)
    other = model.publish_version(str(folders[1]), certificate=certificates[1])
    source.send([*ROWS, "no JSON"])

    def read_all() -> Any:
        told = stream.progress
        return told is not None and told.records_in == len(ROWS) + 1

    eventually(read_all, 60)
    before = group_ranges(source, group_of(stream), since_of(stream))

    found = stream.replay(other, since="beginning", to="tried")
    scorers = [scoring.load(each, SCHEMA) for each in folders]
    old, new = (each.score(ROWS) for each in scorers)
    flips = [a["id"] for a, b in zip(old, new, strict=True) if a["prediction"] != b["prediction"]]
    apart = [
        max(abs(x - y) for x, y in zip(a["probability"], b["probability"], strict=True))
        for a, b in zip(old, new, strict=True)
    ]
    assert flips
    assert (found.records, found.scored, found.refused, found.refused_before) == (201, 200, 1, 1)
    assert (found.compared, found.flips, found.label) == (200, len(flips), "prediction")
    assert found.shifts["probability"].largest == pytest.approx(max(apart))
    assert found.shifts["probability"].mean == pytest.approx(sum(apart) / len(apart))
    assert found.shifts["words"].changed == 0
    assert found.refusals[0]["reason"] == "malformed JSON"
    side = client.kafka.topic("tried").read()
    assert sorted(record.value["id"] for record in side) == list(range(200))
    assert {record.value["id"]: record.value["prediction"] for record in side} == {
        row["id"]: row["prediction"] for row in new
    }
    at = {
        (
            int(record.headers["wml.source.partition"] or b""),
            int(record.headers["wml.source.offset"] or b""),
        ): (record.value["id"])
        for record in side
    }
    assert all(at[each.partition, each.offset] in flips for each in found.examples)

    # Its own group, topic and dead letters are as they were, and it goes on.
    assert group_ranges(source, group_of(stream), since_of(stream)) == before
    assert len(target.read()) == 200
    assert len(stream.dead_letters()) == 1

    # Later than all of it; and each of the two beside itself.
    late = stream.replay(other, since=dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1), to="late")
    assert (late.records, late.flips, late.flip_rate) == (0, 0, None)
    same = stream.replay(other, since=10, to=client.kafka.topic("same", format="csv"), against=other)
    lines = [record.raw.decode() for record in client.kafka.topic("same").read()]
    assert len(lines) == same.scored
    assert all(re.match(r"\d+,tweet number \d+,", line) for line in lines)
    assert same.flips == 0
    assert same.records == sum(end - 10 for _, end in same.ranges.values())
    with pytest.raises(errors.ConfigError, match="own"):
        stream.replay(other, to=target)
    with pytest.raises(errors.PayloadError, match="make a column 'mood'"):
        stream.replay(other, to="tried", label="mood")

    local = client._local
    assert local is not None
    credentials = {**local.credentials, "kafka": dict(local.kafka())}
    (tmp_path / "credentials.json").write_text(json.dumps(credentials))
    client.kafka.topic("cli").create()
    arguments = ["--credentials", str(tmp_path / "credentials.json"), "--output", "json", "replay", stream.id]
    ran = CliRunner().invoke(main, [*arguments, "--version", other.id, "--to", "cli", "--since", "beginning"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert (told["flips"], told["flip_rate"]) == (found.flips, found.flip_rate)
    source.send([ROWS[0]])
    eventually(lambda: len(target.read()) == 201, 60)
    stream.delete()


def test_a_registry_that_wants_a_password_is_reached_by_a_replay_and_by_a_worker_elsewhere(
    client: wmlclient.Client, tmp_path: Path
) -> None:
    folder = text_pipeline(tmp_path / "model")
    certificate = Certificate.from_json(made(folder, SCHEMA, training=TEXT_SCHEMA, label="label"))
    model = client.models.publish(
        str(folder), name="r", training_schema=TEXT_SCHEMA, label_col="label", certificate=certificate
    )
    user, _, password = LOGIN.partition(":")
    with schema_registry() as registry:
        registry.login = LOGIN
        login = {"url": registry.url, "user": user, "password": password}
        format = wmlclient.RecordFormat("avro", registry=wmlclient.SchemaRegistry(**login), output="scores")
        source = client.kafka.topic("r-in").create(2)
        target = client.kafka.topic("r-out", format=format).create()
        stream = model.deploy("r", source=source, target=target).wait(timeout=120)
        source.send(ROWS[:20])
        eventually(lambda: len(target.read()) == 20, 60)

        found = client.deployments.get(stream.id).replay(
            model.version, to="r-tried", connection=client.kafka, registry=wmlclient.SchemaRegistry(**login)
        )
        assert (found.scored, found.flips) == (20, 0)
        assert registry.subjects["r-tried-value"] == registry.subjects["r-out-value"]
        side = client.kafka.topic("r-tried").read()
        assert sorted(record.raw for record in side) == sorted(record.raw for record in target.read())

        # With one worker more, each has a partition: what comes is scored by both.
        local = client._local
        assert local is not None
        named = {**local.credentials, "kafka": dict(local.kafka()), "schema_registry": login}
        (tmp_path / "credentials.json").write_text(json.dumps(named))
        program = [str(Path(sys.executable).parent / "wmlclient"), "--credentials", "credentials.json"]
        worker = subprocess.Popen(
            [*program, "worker", stream.id], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() in ("running, partitions 0\n", "running, partitions 1\n")
            source.send(ROWS[20:])
            eventually(lambda: len(target.read()) == len(ROWS), 60)
            worker.terminate()
            told = worker.communicate(timeout=60)[0]
            assert worker.returncode == 0
            assert 0 < int(told.rpartition("done: ")[2].split()[0]) < len(ROWS)
            assert password not in told
        finally:
            worker.kill()
            worker.communicate()
        stream.delete()
