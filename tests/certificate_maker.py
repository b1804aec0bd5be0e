"""Certificates for tests, made as everywhere, with a stand-in for Spark that gives the native scorer's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wmlclient import scoring
from wmlclient.scoring.proof import prove


class Twin:
    """A Spark that scores as the native scorer does, but for what a test asks for.

    Attributes:
        refuses: Rows, by a column and its values, that it cannot score.
        takes: Scores also what the native scorer refuses.
        skew: Added to every prediction.
        drops: It leaves out the rows that cannot be scored.
        broken: It can score nothing at all.
        tables: How many rows each transform had.
    """

    def __init__(self, folder: Path, **wishes: Any) -> None:
        self._folder = folder
        self.refuses: tuple[str, set[Any]] = wishes.pop("refuses", ("", set()))
        self.takes: bool = wishes.pop("takes", False)
        self.drops: bool = wishes.pop("drops", False)
        self.skew: float = wishes.pop("skew", 0.0)
        self.broken: bool = wishes.pop("broken", False)
        assert not wishes
        self.tables: list[int] = []

    def version(self) -> str:
        return "4.2.0"

    def transform(self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]) -> Any:
        self.tables.append(len(values))
        if self.broken:
            raise scoring.SparkRefused("java.lang.NoSuchMethodError")
        scorer = scoring.load(self._folder, schema)
        if not values:
            return scoring.Table(scorer.output_fields(fields), [], scorer.output_types(fields))
        column, bad = self.refuses
        for row in values:
            if dict(zip(fields, row, strict=True)).get(column) in bad:
                raise scoring.SparkRefused("Failed to execute user defined function")
        table = scorer.run(fields, values)
        errors = [p for p in table.problems.values() if not isinstance(p, scoring.RowDropped)]
        if errors and not self.takes:
            raise scoring.SparkRefused(str(errors[0]))
        rows = [list(row) for row in table.values]
        for number in table.problems:
            rows[number] = [
                value if name in fields else None
                for name, value in zip(table.fields, rows[number], strict=True)
            ]
        if self.skew:
            place = table.fields.index("prediction")
            for row in rows:
                row[place] += self.skew
        return scoring.Table(table.fields, rows, table.dtypes)


def made(folder: Path, schema: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A certificate of a saved model."""
    wishes = {
        name: given.pop(name) for name in ("refuses", "takes", "drops", "skew", "broken") if name in given
    }
    return prove(folder, schema, given.pop("spark", None) or Twin(folder, **wishes), **given)
