"""SQLTransformer: a ``SELECT`` of expressions over the columns of a row.

sqlglot parses the statement, :mod:`wmlclient.scoring.sql` computes its expressions. A statement that does more is
refused by what it does, and Spark scores the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.registry import Params, Stage, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.sql.expressions import Compiler
from wmlclient.scoring.sql.typed import Typed, Unsupported

THIS = "__THIS__"
# sqlglot reads TRY_CAST and CAST as one, and its and Spark's rules for backslashes differ.
_MISREAD = re.compile(r"\\|\btry_|/\*|--", re.IGNORECASE)


@loads("org.apache.spark.ml.feature.SQLTransformer", statement=text)
def sql_transformer(saved: SavedStage, params: Params) -> Stage:
    """``SQLTransformer``: ``SELECT`` of columns, ``*`` and named expressions ``FROM __THIS__``, and no other clause."""
    statement = params.statement
    if statement is None:
        raise saved.damaged("its statement is missing")
    try:
        items, tables = _parsed(statement)
    except Unsupported as error:
        raise saved.refuse(f"its SQL has {error}") from None
    except RecursionError:
        raise saved.refuse("its SQL is nested too deep") from None

    def bind(frame: Frame) -> None:
        try:
            _select(frame, saved, items, tables)
        except Unsupported as error:
            raise saved.refuse(f"its SQL has {error}") from None
        except RecursionError:
            raise saved.refuse("its SQL is nested too deep") from None

    return Stage(saved.uid, saved.java_class, bind)


def _parsed(statement: str) -> tuple[list[Any], list[str]]:
    """The items of the ``SELECT`` and the names of its table."""
    try:
        import sqlglot
        from sqlglot import exp
    except ImportError:
        raise Unsupported("to be parsed by sqlglot, which is not installed: pip install sqlglot") from None

    if _MISREAD.search(statement):
        raise Unsupported("a backslash, a comment or a TRY_ function")
    try:
        parsed = sqlglot.parse(statement, read="spark")
    except sqlglot.errors.SqlglotError as error:
        first = str(error).splitlines()[0]
        raise Unsupported(f"a text that is not understood: {first[:120]}") from None
    if len(parsed) != 1 or type(parsed[0]) is not exp.Select:
        raise Unsupported("more, or something else, than one SELECT")
    select = parsed[0]
    clauses = {name.rstrip("_") for name, given in select.args.items() if given}
    others = sorted(clauses - {"expressions", "from"})
    if others:
        raise Unsupported(f"the clause {others[0].upper()}")
    table = (select.args.get("from_") or select.args.get("from") or exp.From()).this
    if type(table) is not exp.Table or type(table.this) is not exp.Identifier or table.this.name != THIS:
        raise Unsupported(f"no plain FROM {THIS}")
    more = {name for name, given in table.args.items() if given} - {"this", "alias"}
    alias = table.args.get("alias")
    if more or (alias is not None and alias.args.get("columns")):
        raise Unsupported(f"more than a name after FROM {THIS}")
    return select.expressions, [THIS if alias is None else alias.name]


def _select(frame: Frame, saved: SavedStage, items: list[Any], tables: list[str]) -> None:
    from sqlglot import exp

    before = list(frame.visible)
    order: list[str] = []
    made: set[str] = set()
    for item in items:
        if _is_star(item, tables):
            order += before
        elif type(item) is exp.Column:
            order.append(_found(frame, saved, item, tables))
        elif type(item) is exp.Alias:
            order.append(_named(frame, saved, item, tables, made))
            made.add(order[-1])
        else:
            raise Unsupported(f"{item.sql(dialect='spark')[:80]} without a name: write AS and one")
    twice = next((name for place, name in enumerate(order) if name in order[:place]), None)
    if twice is not None:
        raise Unsupported(f"two columns {twice!r} in its answer")
    frame.select(order)


def _is_star(item: Any, tables: list[str]) -> bool:
    from sqlglot import exp

    if type(item) is exp.Column and type(item.this) is exp.Star:
        if item.table not in tables:
            raise Unsupported(f"{item.table}.*")
        item = item.this
    if type(item) is not exp.Star:
        return False
    if any(item.args.values()):
        raise Unsupported("a * with exceptions")
    return True


def _found(frame: Frame, saved: SavedStage, item: Any, tables: list[str], default: str = "double") -> str:
    """The name of a column that is there."""
    if (item.table and item.table not in tables) or item.args.get("db"):
        raise Unsupported(f"the column {item.sql(dialect='spark')[:80]}")
    name: str = item.name
    frame.find(name, saved.uid, lambda kind: True, "any type", default)
    return name


def _named(frame: Frame, saved: SavedStage, item: Any, tables: list[str], made: set[str]) -> str:
    """Adds the column of one ``expression AS name``."""
    from sqlglot import exp

    name: str = item.alias
    if name in frame.visible:
        raise Unsupported(f"an expression that is named like the column {name!r}")
    if type(item.this) is exp.Column:
        source = _found(frame, saved, item.this, tables)
        column = frame.slots[frame.visible[source]]
        copied = Column(name, column.type, labels=column.labels, size=column.size)
        frame.add(saved.uid, [source], [copied], lambda value: value, lambda values: (values,))
        return name
    sources: list[str] = []
    for column in item.this.find_all(exp.Column):
        if column.name in made:
            raise Unsupported(f"the column {column.name!r}, which it names itself")
        source = _found(frame, saved, column, tables, _guess(column))
        if source not in sources:
            sources.append(source)
    places = {source: (place, frame.type_of(source)) for place, source in enumerate(sources)}
    typed = Compiler(places, tables).compile(item.this)
    if typed.type in ("decimal", "void"):
        raise Unsupported(f"a {typed.type} result: {item.this.sql(dialect='spark')[:80]}")
    frame.add(saved.uid, sources, [Column(name, typed.type)], _function(typed))
    return name


def _function(typed: Typed) -> Callable[..., Any]:
    value = typed.value
    return lambda *row: value(row)


def _guess(column: Any) -> str:
    """The type that a column has if nothing is known of the input."""
    from sqlglot import exp

    parent = column.parent
    texts = (exp.Length, exp.Concat, exp.DPipe)
    if isinstance(parent, texts) or (
        isinstance(parent, (exp.EQ, exp.NEQ, exp.In))
        and any(isinstance(other, exp.Literal) and other.is_string for other in parent.iter_expressions())
    ):
        return "string"
    if isinstance(parent, (exp.And, exp.Or, exp.Not)):
        return "boolean"
    return "double"
