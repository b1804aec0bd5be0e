"""A data frame at hand, scored in this process with a model of the service."""

from __future__ import annotations

import pandas
import pytest
from contract_service import INSTANCE, PASSWORD, USER, Service

import wmlclient
from wmlclient import errors


def test_a_frame_is_scored_here_with_the_numbers_of_the_service(service: Service, content: bytes) -> None:
    published = service.published(content)
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        model = client.models.get(published.guid)
        frame = pandas.DataFrame({"id": [1, 2], "text": ["what a day", "so sad"]}, index=[7, 8])
        scored = model.score_frame(frame)
        answers = model.deploy("o").score(frame)
        assert list(scored.index) == [7, 8]
        assert list(scored.columns) == answers.fields
        assert scored["prediction"].tolist() == answers.column("prediction")
        assert [row.tolist() for row in scored["probability"]] == answers.column("probability")
        with pytest.raises(errors.PayloadError, match="list: give a pandas or a Spark DataFrame"):
            model.score_frame([1])


def test_what_spark_has_to_score_is_not_scored_here(service: Service, content: bytes) -> None:
    service.spark.skew = 1.0
    published = service.published(content)
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        model = client.models.get(published.guid)
        with pytest.raises(errors.NotSupportedError, match="not scored natively.*prediction"):
            model.score_frame(pandas.DataFrame({"text": ["a"]}))
