"""The models of the corpus: together every class that the native scorer reads.

A case is a table and the stages that are fitted to it. Stages that work side by side are in one case, so that the
corpus stays small; predictors have one each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import corpus_tables


class Case:
    """See the module's text.

    Args:
        name: Its folder.
        table: Which of the tables it is fitted to and scores.
        stages: Makes the stages; an AttributeError or ImportError in it means that this Spark lacks one.
        java: Save it as a Scala program does.
        without: Columns that are not in what is scored.
        vary: Changes the fitted model.
        keep: Condition of the rows that are fitted to.
    """

    def __init__(
        self,
        name: str,
        table: str,
        stages: Callable[[], list[Any]],
        java: bool = False,
        without: tuple[str, ...] = (),
        vary: Callable[[Any], None] | None = None,
        keep: str | None = None,
    ) -> None:
        self.name, self.table, self.stages = name, table, stages
        self.java, self.without, self.vary, self.keep = java, without, vary, keep

    def fit(self, spark: Any) -> Any:
        from pyspark.ml import Pipeline

        train = corpus_tables.ALL[self.table].frame(spark)
        if self.keep:
            train = train.where(self.keep)
        model = Pipeline(stages=self.stages()).fit(train)
        if self.vary:
            self.vary(model)
        return model


CASES: list[Case] = []


def case(table: str, **more: Any) -> Callable[[Callable[[], list[Any]]], Callable[[], list[Any]]]:
    def register(stages: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
        CASES.append(Case(stages.__name__.strip("_"), table, stages, **more))
        return stages

    return register


def all_cases() -> Iterator[Case]:
    """The cases that this Spark can make."""
    import corpus_features
    import corpus_predictors

    assert corpus_features.case is corpus_predictors.case is case
    for each in CASES:
        try:
            each.stages()
        except (AttributeError, ImportError) as error:
            print(f"{each.name} is left out: {error}", flush=True)  # noqa: T201 - progress of a program
            continue
        yield each
