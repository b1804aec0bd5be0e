"""One thing that moves records from topic to topic, in a process of its own: ``python stream_peers.py TASK.json``.

The task names what runs: ``native`` (our loop, as a worker runs it), ``bare`` (consume and produce in transactions,
nothing else), ``kafka-python`` (the same with the other client), ``spark`` (a job as one writes it by hand),
``spark-stream`` (our Spark engine, as a driver runs it). With
``count`` it ends after so many records and prints when it began and ended; without, it runs until stdin ends. The two
on Spark take the records ``turns`` times, and print each time also the CPU seconds of their two processes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from attrs import evolve

BATCH = 4_000
SETTLE_SECONDS = 2.0


def watched(task: dict[str, Any], done: Any) -> None:
    """Print begin and end, when so many records are done."""
    while not done():
        time.sleep(0.002)
    began = time.time()
    print(json.dumps({"ready": began}), flush=True)
    if task["count"] is None:
        sys.stdin.read()
        return
    while done() < task["count"]:
        time.sleep(0.002)
    print(json.dumps({"began": began, "ended": time.time()}), flush=True)


def cpu_seconds(*pids: int) -> float:
    """User and system time of processes, so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(each.user + each.system for each in times)


def native(task: dict[str, Any]) -> None:
    """A worker. It takes no record before it is told to go, so that all workers have their partitions by then."""
    from wmlclient.runner import lines
    from wmlclient.runner.streams.loop import StreamLoop
    from wmlclient.runner.streams.model import StreamModel

    spec = lines.spec_from_json(task["spec"])
    ready, go = threading.Event(), threading.Event()

    def tell(kind: str, details: dict[str, Any]) -> None:
        if kind == "progress" and len(details.get("lag", ())) == task["partitions"]:
            ready.set()

    model = StreamModel.open(Path(spec.model_dir), spec.input_schema)
    loop = StreamLoop(spec, model, task["name"], False, tell)
    work = loop._work

    def held(messages: Any, membership: Any, *more: Any) -> None:
        if go.is_set():
            return work(messages, membership, *more)
        membership.resume()
        return time.sleep(0.02)

    loop._work = held  # type: ignore[method-assign]
    threading.Thread(target=loop.run, daemon=True).start()
    ready.wait()
    print(json.dumps({"ready": time.time()}), flush=True)
    sys.stdin.readline()
    go.set()
    sys.stdin.read()


def bare(task: dict[str, Any]) -> None:
    from wmlclient.runner import lines
    from wmlclient.runner.streams import clients

    spec = lines.spec_from_json(task["spec"])
    moved = [0]

    def loop() -> None:
        producer = clients.producer(spec.target, f"bare-{spec.stream_id}-{task['name']}", lambda *_: None)
        producer.init_transactions()
        consumer = clients.consumer(
            spec.source, f"bare-{spec.stream_id}", None, lambda _: None, lambda *_: None
        )

        def begin(_: Any, partitions: list[Any]) -> None:
            for each in partitions:
                each.offset = 0
            consumer.assign(partitions)

        consumer.subscribe([spec.source.topic], on_assign=begin)
        while True:
            messages = consumer.consume(1, 0.2)
            if not messages:
                moved[0] = moved[0] or bool(consumer.assignment())
                continue
            messages += consumer.consume(BATCH - 1, 0)
            producer.begin_transaction()
            for message in messages:
                producer.produce(
                    spec.target.topic,
                    message.value().ljust(task["bytes"]),
                    message.key(),
                    timestamp=message.timestamp()[1],
                )
            producer.flush()
            offsets = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            moved[0] += len(messages)

    threading.Thread(target=loop, daemon=True).start()
    watched(task, lambda: moved[0])


def kafka_python(task: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
    from wmlclient.runner import lines
    from wmlclient.runner.topics import client_options

    spec = lines.spec_from_json(task["spec"])
    producer = KafkaProducer(
        transactional_id=f"python-{spec.stream_id}", linger_ms=2, **client_options(spec.target)
    )
    producer.init_transactions()
    consumer = KafkaConsumer(
        spec.source.topic,
        group_id=f"python-{spec.stream_id}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        **client_options(spec.source),
    )
    moved, began = 0, 0.0
    while moved < task["count"]:
        for partition, records in consumer.poll(200, max_records=BATCH).items():
            began = began or time.time()
            producer.begin_transaction()
            for record in records:
                producer.send(spec.target.topic, record.value, key=record.key, timestamp_ms=record.timestamp)
            offsets = {TopicPartition(*partition): OffsetAndMetadata(records[-1].offset + 1, "", -1)}
            producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
            producer.commit_transaction()
            moved += len(records)
    print(json.dumps({"ready": began}), flush=True)
    print(json.dumps({"began": began, "ended": time.time()}), flush=True)


def spark(task: dict[str, Any]) -> None:
    """A job as one writes it by hand."""
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    from wmlclient.runner import lines
    from wmlclient.runner.jars import connector_jars
    from wmlclient.runner.spark.kafka_options import connection_options

    spec = lines.spec_from_json(task["spec"])
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(map(str, connector_jars())))
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    model = PipelineModel.load(spec.model_dir)
    schema = StructType.fromJson(spec.input_schema)

    def started(checkpoint: str, **trigger: Any) -> Any:
        source = session.readStream.format("kafka").options(**connection_options(spec.source))
        source = source.option("subscribe", spec.source.topic).option(
            "startingOffsets", "earliest" if task["count"] else "latest"
        )
        rows = source.load().select("key", F.from_json(F.col("value").cast("string"), schema).alias("r"))
        scored = model.transform(rows.select("key", "r.*"))
        columns = [name for name in scored.columns if name != "key"]
        out = scored.select("key", F.to_json(F.struct(*columns)).alias("value"))
        sink = out.writeStream.format("kafka").options(**connection_options(spec.target))
        sink = sink.option("topic", spec.target.topic).option("checkpointLocation", checkpoint)
        return (sink.trigger(**trigger) if trigger else sink).start()

    if not task["count"]:
        query = started(task["checkpoint"])
        while not query.lastProgress:
            time.sleep(0.1)
        print(json.dumps({"ready": time.time()}), flush=True)
        sys.stdin.read()
        return
    jvm: Any = session.sparkContext._jvm
    pids = (os.getpid(), int(jvm.java.lang.ProcessHandle.current().pid()))
    for turn in range(task["turns"]):
        began, used = time.time(), cpu_seconds(*pids)
        started(f"{task['checkpoint']}-{turn}", availableNow=True).awaitTermination()
        told(began, cpu_seconds(*pids) - used)


def told(began: float, used: float) -> None:
    """Print how one turn went."""
    print(json.dumps({"began": began, "ended": time.time(), "cpu": used}), flush=True)


def spark_stream(task: dict[str, Any]) -> None:
    """Our Spark engine, timed like the other job: from the start of its query on."""
    from wmlclient.runner import lines
    from wmlclient.runner.jars import connector_jars
    from wmlclient.runner.spark.models import ModelCache
    from wmlclient.runner.spark.progress import ProgressDesk
    from wmlclient.runner.spark.session import Session
    from wmlclient.runner.spark.settings import DriverFolder, spark_settings, to_properties
    from wmlclient.runner.spark.streaming import SparkStream

    spec = lines.spec_from_json(task["spec"])
    folder = DriverFolder.of(Path(task["checkpoint"] + "-driver"), "local[2]")
    folder.path.mkdir(parents=True)
    settings = spark_settings(folder, "local[2]", connector_jars(), "1g")
    folder.properties.write_text(to_properties(settings))
    session = Session(folder.path)
    session.start()
    pids = (os.getpid(), int(session.jvm_pid or 0))
    began, used = 0.0, 0.0
    running = threading.Event()

    def tell(kind: str, details: dict[str, Any]) -> None:
        if kind == "failed":
            print(json.dumps(details), file=sys.stderr, flush=True)
        if kind == "running":
            running.set()

    models, desk = ModelCache(session), ProgressDesk(session)
    for turn in range(task["turns"]):
        spec = evolve(spec, checkpoint_dir=f"{task['checkpoint']}-{turn}")
        stream = SparkStream(session, models, desk, spec, tell)
        begin, take, done = stream._begin, stream._take, threading.Event()

        def timed(begin: Callable[[], None] = begin) -> None:
            nonlocal began, used
            # The other job has loaded its model long before; what ours leaves to the JVM's compiler ends meanwhile.
            time.sleep(SETTLE_SECONDS)
            began, used = time.time(), cpu_seconds(*pids)
            begin()

        def taken(progress: dict[str, Any], stream: Any = stream, take: Any = take, done: Any = done) -> None:
            take(progress)
            if task["count"] and stream._writer.counts.records_in >= task["count"]:
                done.set()

        stream._begin, stream._take = timed, taken  # type: ignore[method-assign]
        stream.start()
        if not task["count"]:
            running.wait()
            print(json.dumps({"ready": began}), flush=True)
            sys.stdin.read()
            break
        done.wait()
        told(began, cpu_seconds(*pids) - used)
        stream.stop()
    session.stop()


PEERS = {
    "native": native,
    "bare": bare,
    "kafka-python": kafka_python,
    "spark": spark,
    "spark-stream": spark_stream,
}

if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    PEERS[given["kind"]](given)
