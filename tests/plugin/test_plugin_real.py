"""The fixtures with a real Spark and a real broker behind them."""

from __future__ import annotations

import pytest

from wmlclient.runner.jars import cache_dir

pytest_plugins = ("pytester",)
STRICT = ("-o", "filterwarnings=error", "-p", "no:cacheprovider")

MODEL = """
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import HashingTF, Tokenizer

    def fit(spark):
        train = spark.createDataFrame(
            [(1, "good day", 1), (2, "bad day", 0), (3, "so good", 1), (4, "so bad", 0)], "id int, text string, y int"
        )
        stages = [
            Tokenizer(inputCol="text", outputCol="words"),
            HashingTF(inputCol="words", outputCol="features", numFeatures=64),
            LogisticRegression(labelCol="y", maxIter=5),
        ]
        return Pipeline(stages=stages).fit(train), train
"""


@pytest.fixture(autouse=True)
def fetched_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytester gives its runs a home of their own; without this each of them would fetch the jars again."""
    monkeypatch.setenv("WMLCLIENT_CACHE", str(cache_dir()))


@pytest.mark.spark
def test_publish_deploy_score_and_a_clean_next_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        model=MODEL,
        test_it="""
        import pytest
        from model import fit

        @pytest.fixture(scope="module")
        def fitted(spark):
            return fit(spark)

        def test_scores_are_sparks(wml_client, spark, fitted):
            pipeline_model, train = fitted
            model = wml_client.models.publish(pipeline_model, "m", sample=train)
            assert model.label_col == "y"
            online = model.deploy("d")
            scores = online.score(train.drop("y"))
            expected = [row.prediction for row in pipeline_model.transform(train).collect()]
            assert scores.column("prediction") == expected
            assert model.parity.exact
            assert scores.engine == online.engine == model.parity.engine

        def test_nothing_is_left(wml_client):
            assert list(wml_client.models.list()) == []
            assert list(wml_client.deployments.list()) == []

        def test_the_session_is_small_and_the_same(spark):
            assert spark.conf.get("spark.sql.shuffle.partitions") == "1"
            assert spark.sparkContext.uiWebUrl is None
            assert spark is type(spark).getActiveSession()
        """,
    )

    pytester.runpytest_subprocess(*STRICT, "--timeout", "240").assert_outcomes(passed=3)


@pytest.mark.spark
def test_an_active_session_is_used_and_left_running(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def mine():
            from pyspark.sql import SparkSession

            session = (
                SparkSession.builder.master("local[1]").appName("mine")
                .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1").getOrCreate()
            )
            yield session
            assert session.range(3).count() == 3  # the plugin has not stopped it
            session.stop()
        """
    )
    pytester.makepyfile(
        """
        def test_it(spark, mine):
            assert spark.sparkContext.appName == "mine"
            assert spark is mine
        """
    )

    pytester.runpytest_subprocess(*STRICT).assert_outcomes(passed=1)


@pytest.mark.kafka
def test_topics_are_a_tests_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        names = []

        def test_send_and_read(kafka_broker):
            topic = kafka_broker.topic("tweets", partitions=2)
            assert topic.name.startswith("tweets-")
            assert topic.send([{"id": i} for i in range(10)], key="id") == 10
            assert sorted(r.value["id"] for r in topic.read(10)) == list(range(10))
            assert {r.partition for r in topic.read()} == {0, 1}
            names.append(topic.name)

        def test_the_next_one_is_another_and_the_first_is_gone(kafka_broker, wml_client):
            topic = kafka_broker.topic("tweets")
            assert topic.name not in names
            assert topic.read() == []
            assert not kafka_broker.connection.topic(names[0]).exists()
            assert wml_client.kafka.brokers == kafka_broker.brokers
        """
    )

    pytester.runpytest_subprocess(*STRICT, "--timeout", "120").assert_outcomes(passed=2)


@pytest.mark.kafka
@pytest.mark.spark
def test_a_stream_from_topic_to_topic(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        model=MODEL,
        test_it="""
        from model import fit

        def test_stream(wml_client, kafka_broker, spark):
            pipeline_model, train = fit(spark)
            source, target = kafka_broker.topic("source"), kafka_broker.topic("target")
            model = wml_client.models.publish(pipeline_model, "m", sample=train)
            stream = model.deploy("s", source=source, target=target)
            assert stream.kind == "stream"
            stream.wait(180)
            rows = [{"id": r.id, "text": r.text, "extra": "kept"} for r in train.collect()]

            source.send(rows[:2], key="id")
            first = target.read(2, timeout=90)
            stream.stop()
            assert stream.state == "stopped"
            source.send([*rows[2:], "not json"], key=lambda r: "k" if isinstance(r, str) else str(r["id"]))
            stream.start().wait(180)
            scored = {}
            with target.tail(from_beginning=True, idle=90) as records:
                for record in records:  # a record may come twice: Spark delivers at least once
                    scored[record.value["id"]] = record
                    if len(scored) == 4:
                        break

            expected = {row.id: row.prediction for row in pipeline_model.transform(train).collect()}
            assert {key: r.value["prediction"] for key, r in scored.items()} == expected
            assert {r.key for r in scored.values()} == {"1", "2", "3", "4"}
            assert all(r.value["extra"] == "kept" for r in scored.values())
            (dead,) = kafka_broker.connection.topic(f"{target.name}.dead-letters").read(1, timeout=60)
            assert dead.raw == b"not json"
            assert dead.key == "k"
            assert [r.offset for r in first] == [0, 1]
            stream.delete()
            assert list(model.deployments) == []
        """,
    )

    pytester.runpytest_subprocess(*STRICT, "--timeout", "280", "-s").assert_outcomes(passed=1)


@pytest.mark.kafka
def test_a_broker_is_broken_and_mended(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading

        import pytest
        from wmlclient.errors import BrokerError
        from wmlclient.testing import assert_exactly_once

        def test_it_comes_back_at_the_same_address_with_its_topics(kafka_broker):
            topic = kafka_broker.topic("kept")
            topic.send([{"id": 1}])
            kafka_broker.kill()
            with pytest.raises(BrokerError, match="refused"):
                topic.send([{"id": 2}], timeout=5)
            kafka_broker.restart()
            topic.send([{"id": 3}])
            assert [record.value["id"] for record in topic.read(2)] == [1, 3]
            kafka_broker.kill()  # and left so

        def test_the_next_one_finds_it_running(kafka_broker):
            topic = kafka_broker.topic("paused")
            kafka_broker.pause()
            threading.Timer(0.5, kafka_broker.resume).start()
            assert topic.send([{"id": 1}]) == 1
            kafka_broker.pause()  # and left so

        def test_and_once_more(kafka_broker):
            source, target = kafka_broker.topic("in"), kafka_broker.topic("out")
            source.send([{"id": number} for number in range(3)])

            def receipt(offset):
                return {"wml.source.topic": source.name, "wml.source.partition": "0", "wml.source.offset": str(offset)}

            target.send("a", headers=receipt(0))
            letters = kafka_broker.connection.topic(f"{target.name}.dead-letters").create()
            letters.send("b", headers=receipt(1))
            with pytest.raises(AssertionError, match="missing: partition 0, offset 2"):
                assert_exactly_once(source, target, timeout=0)
            threading.Timer(0.5, target.send, ["c"], {"headers": receipt(2)}).start()
            assert (assert_exactly_once(source, target).outputs, len(letters.read())) == (2, 1)
            letters.send("b", headers=receipt(0))
            with pytest.raises(AssertionError, match="double: partition 0, offset 0"):
                assert_exactly_once(source, target)
        """
    )

    pytester.runpytest_subprocess(*STRICT, "--timeout", "120").assert_outcomes(passed=3)
