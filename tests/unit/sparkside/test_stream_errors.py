"""What an error that ends a query means for its stream."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError

from wmlclient.runner.spark.streaming import classify


@pytest.mark.parametrize(
    "error",
    [Py4JError("no answer"), Py4JNetworkError("closed"), ConnectionRefusedError(111, "refused"), EOFError()],
)
def test_a_jvm_that_does_not_answer_is_worth_another_try(error: Exception) -> None:
    code, message, retriable = classify(error)

    assert (code, retriable) == ("spark_driver_died", True)
    assert message


def test_an_error_of_our_own_is_not() -> None:
    assert classify(ValueError("x"))[::2] == ("stream_failed", False)
