"""A model scored by Spark, for what the native scorer does not give exactly.

Spark fails for a whole table where it fails for one row. So what fails is halved, again and again, until the rows that
Spark refuses stand alone; the others are answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wmlclient.scoring.errors import InputError

from . import native
from .errors import EngineError, Invalid, NotReady
from .halving import find_refused
from .ports import PortError, SparkPool, TransformFailed, TransformResult
from .scored import RowProblem, Rows, Scored, readable, unread

if TYPE_CHECKING:
    from wmlclient.scoring.labels import LabelFiller

MAX_JOBS = 64
"""So many Spark jobs look for the rows that Spark refuses, enough for a few among thousands; then the call fails."""

TRANSFORM_FAILED = "transform_failed"
"""Code of the port's error where Spark has run, and refused a row; others are of the model."""

Ask = Callable[[Rows], "Future[TransformResult]"]


class SparkScorer:
    """A model scored by Spark.

    Args:
        spark: Where Spark is; asked at each call, since a driver that died is replaced by another.
        model_dir: Folder with the saved model.
        schema: The schema of the model's input.
        label: What :func:`native.label_filler` gave: adds the label column where a stage needs it.
    """

    engine: Literal["native", "spark"] = "spark"

    def __init__(
        self,
        spark: SparkPool,
        model_dir: Path,
        schema: dict[str, Any],
        label: LabelFiller | None = None,
    ) -> None:
        self._spark = spark
        self._dir = str(model_dir)
        self._schema = schema
        self._label = label

    def probe(self, timeout: float) -> None:
        """Return when Spark has loaded the model.

        Args:
            timeout: Seconds.

        Raises:
            PortError: Spark is not there, or cannot load the model.
            TimeoutError: It took too long.
        """
        runner = self._spark.get(None)
        runner.version()
        names = [column["name"] for column in self._schema["fields"]]
        runner.transform(self._dir, self._schema, names, []).result(timeout)

    def score(self, fields: list[str], values: Rows) -> Future[Scored]:
        """Hand the rows to Spark. A row that cannot be scored is among the ``errors``, where another one can be.

        Raises:
            Invalid: The table does not fit the model's input.
            NotReady: Spark is not there. The future has these two, too.
        """
        good, errors = self._readable(fields, values)

        def ask(rows: Rows) -> Future[TransformResult]:
            schema, names = self._schema, fields
            if self._label is not None:
                schema, names, rows = self._label.fill(schema, fields, rows)
            return self._spark.get(None).transform(self._dir, schema, names, rows)

        def whole(found: dict[int, list[Any]], names: list[str], refused: dict[int, RowProblem]) -> Scored:
            problems = errors | refused
            rows = [
                found[n] if n in found else unread(self._check, names, fields, row)
                for n, row in enumerate(values)
            ]
            return Scored(names, rows, [problems[n] for n in sorted(problems)])

        rows = [values[n] for n in good]
        try:
            asked = ask(rows)
        except PortError as error:
            raise _scoring_error(error) from None
        answer: Future[Scored] = Future()

        def look() -> None:
            try:
                answer.set_result(whole(*_isolated(ask, dict(zip(good, rows, strict=True)))))
            except PortError as error:
                answer.set_exception(_scoring_error(error))
            except BaseException as error:
                answer.set_exception(error)

        def done(asked: Future[TransformResult]) -> None:
            if not answer.set_running_or_notify_cancel():
                return
            error = asked.exception()
            if error is None:
                result = asked.result()
                answer.set_result(whole(dict(zip(good, result.values, strict=True)), result.fields, {}))
            elif error is not None and _of_a_row(error) and len(rows) > 1:
                # Not here: this thread is the one that brings Spark's answers.
                threading.Thread(target=look, name="wmlclient-bad-rows", daemon=True).start()
            else:
                answer.set_exception(_scoring_error(error) if isinstance(error, PortError) else error)

        asked.add_done_callback(done)
        return answer

    def _readable(self, fields: list[str], values: Rows) -> tuple[list[int], dict[int, RowProblem]]:
        try:
            self._check(fields, values)
            return list(range(len(values))), {}
        except InputError as error:
            problem = error
        if len(values) > 1 and problem.kind == "wrong_type":
            try:
                good, errors = readable(self._check, fields, values)
            except InputError as error:
                problem = error
            else:
                if good:
                    return good, errors
        raise native.invalid(problem, self._label)

    def _check(self, fields: list[str], values: Rows) -> None:
        from wmlclient.scoring import check_table

        # Which columns the stages need is Spark's to say.
        check_table(self._schema, fields, values, required=())


def _isolated(
    ask: Ask, rows: dict[int, list[Any]]
) -> tuple[dict[int, list[Any]], list[str], dict[int, RowProblem]]:
    """Scores the rows, by number, that Spark scores, all of which together it has refused.

    Raises:
        PortError: It refuses all of them, or too many to find them; or Spark is gone.
    """
    found: dict[int, list[Any]] = {}
    names: list[str] = []

    def attempt(part: Sequence[int]) -> None:
        nonlocal names
        result = ask([rows[number] for number in part]).result()
        names = result.fields
        found.update(zip(part, result.values, strict=True))

    refused = find_refused(list(rows), attempt, _of_a_row, known=True, most=MAX_JOBS)
    if len(refused) == len(rows):
        raise next(reversed(refused.values()))
    problems = {
        number: RowProblem(number, "invalid_input_data", str(error), None)
        for number, error in refused.items()
    }
    return found, names, problems


def _of_a_row(error: BaseException) -> bool:
    return isinstance(error, TransformFailed) and error.code == TRANSFORM_FAILED


def _scoring_error(error: PortError) -> EngineError:
    if isinstance(error, TransformFailed):
        return Invalid("invalid_input_data", f"Spark cannot score these rows: {error.message}")
    return NotReady("underlying_api_error", error.message)
