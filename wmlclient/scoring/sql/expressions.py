# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Spark SQL expressions, parsed by sqlglot, as functions of a row.

What is not known here to be exactly Spark's raises :class:`Unsupported`: the list of nodes is one of what is taken,
not of what is refused.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve

from wmlclient.scoring.sql import values as ops
from wmlclient.scoring.sql.typed import (
    WHOLE,
    Row,
    Typed,
    Unsupported,
    common,
    constant,
    double,
    is_number,
    strict,
)
from wmlclient.scoring.types import INTEGER_RANGES

__all__ = ["Compiler"]


class Compiler:
    """Compiles the expressions of one ``SELECT``.

    Args:
        columns: For each column name, its place in the row and its type.
        tables: Names by which a column may be qualified.
    """

    def __init__(self, columns: Mapping[str, tuple[int, str]], tables: Sequence[str] = ()) -> None:
        from sqlglot import exp

        self._exp = exp
        self._columns = columns
        self._tables = tables
        self._arithmetic = {exp.Add: operator.add, exp.Sub: operator.sub, exp.Mul: operator.mul}
        self._comparisons = {
            exp.EQ: (operator.eq, ops.equal),
            exp.NEQ: (operator.ne, lambda left, right: not ops.equal(left, right)),
            exp.LT: (operator.lt, ops.less),
            exp.LTE: (operator.le, ops.less_or_equal),
            exp.GT: (operator.gt, lambda left, right: ops.less(right, left)),
            exp.GTE: (operator.ge, lambda left, right: ops.less_or_equal(right, left)),
        }
        self._of_double: dict[Any, tuple[str, Callable[[float], Any]]] = {
            exp.Sqrt: ("double", ops.root),
            exp.Exp: ("double", ops.exponential),
            exp.Ln: ("double", ops.logarithm(math.log)),
            exp.Sign: ("double", ops.sign),
        }
        self._methods: dict[Any, Callable[[Any], Typed]] = {
            exp.Paren: lambda node: self.compile(node.this),
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: constant("boolean", bool(node.this)),
            exp.Null: lambda node: constant("void", None),
            exp.Neg: self._neg,
            exp.Div: self._calculated,
            exp.Mod: self._calculated,
            exp.Abs: self._abs,
            exp.Pow: self._pow,
            exp.Log: self._log,
            exp.Floor: lambda node: self._rounded(node, ops.floor),
            exp.Ceil: lambda node: self._rounded(node, ops.ceil),
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Not: lambda node: Typed("boolean", strict(operator.not_, self._truth(node.this))),
            exp.And: lambda node: self._both(node, False),
            exp.Or: lambda node: self._both(node, True),
            exp.Is: self._is,
            exp.IsNan: self._isnan,
            exp.Between: self._between,
            exp.In: self._in,
            exp.If: self._if,
            exp.Case: self._case,
            exp.Coalesce: self._coalesce,
            exp.Greatest: lambda node: self._extreme(node, lambda value, best: ops.less(best, value)),
            exp.Least: lambda node: self._extreme(node, ops.less),
            exp.Length: lambda node: Typed("int", strict(len, self._text(node.this))),
            exp.DPipe: lambda node: self._joined([node.this, node.expression]),
            exp.Concat: lambda node: self._joined(node.expressions),
            exp.Anonymous: self._by_name,
        }

    def compile(self, node: Any) -> Typed:
        """The expression of a node.

        Raises:
            Unsupported: It is none that is known here.
        """
        kind = type(node)
        if kind in self._arithmetic:
            return self._calculated(node)
        if kind in self._comparisons:
            return self._compared(node, node.this, node.expression)
        if kind in self._of_double:
            result, function = self._of_double[kind]
            return Typed(result, strict(function, double(self.compile(node.this))))
        if kind not in self._methods:
            raise Unsupported(_shown(node))
        return self._methods[kind](node)

    # -- leaves -------------------------------------------------------------------------------------------------

    def _column(self, node: Any) -> Typed:
        name, table = node.name, node.table
        if (table and table not in self._tables) or node.args.get("db") or name not in self._columns:
            raise Unsupported(f"the column {_shown(node)}")
        place, kind = self._columns[name]
        if kind not in ("double", "string", "boolean", *WHOLE):
            raise Unsupported(f"the {kind} column {name!r} in an expression")
        return Typed(kind, operator.itemgetter(place))

    def _literal(self, node: Any) -> Typed:
        text = node.this
        if node.is_string:
            return constant("string", text)
        if "e" in text.lower():
            return constant("double", float(text))
        if "." in text:
            return Typed("decimal", lambda row: None, Decimal(text))
        number = int(text)
        for kind in ("int", "bigint"):
            if number <= INTEGER_RANGES[kind][1]:
                return constant(kind, number)
        raise Unsupported(f"the number {text[:40]}")

    # -- arithmetic ---------------------------------------------------------------------------------------------

    def _neg(self, node: Any) -> Typed:
        typed = self.compile(node.this)
        if typed.literal is not None:
            return evolve(typed, literal=-typed.literal)
        if typed.type == "double":
            return Typed("double", strict(operator.neg, typed))
        if typed.type in WHOLE:
            return Typed(typed.type, strict(ops.fitting(typed.type, operator.neg), typed))
        raise Unsupported(f"- of a {typed.type}")

    def _calculated(self, node: Any) -> Typed:
        left, right = self.compile(node.this), self.compile(node.expression)
        if not is_number(left) or not is_number(right):
            raise Unsupported(f"arithmetic with {left.type} and {right.type}")
        kind, sides = common(left, right)
        exp = self._exp
        if type(node) is exp.Div:
            # Whole numbers are divided as doubles.
            return Typed("double", strict(ops.divide, double(sides[0]), double(sides[1])))
        if type(node) is exp.Mod:
            return Typed(kind, strict(ops.remainder if kind == "double" else ops.whole_remainder, *sides))
        operation = self._arithmetic[type(node)]
        if kind != "double":
            operation = ops.fitting(kind, operation)
        return Typed(kind, strict(operation, *sides))

    def _abs(self, node: Any) -> Typed:
        typed = self.compile(node.this)
        if typed.type in WHOLE:
            return Typed(typed.type, strict(ops.fitting(typed.type, abs), typed))
        if typed.type != "double":
            raise Unsupported(_shown(node))
        return Typed("double", strict(abs, typed))

    def _pow(self, node: Any) -> Typed:
        base, exponent = self.compile(node.this), self.compile(node.expression)
        return Typed("double", strict(ops.power, double(base), double(exponent)))

    def _log(self, node: Any) -> Typed:
        """``LOG2`` and ``LOG10``, which sqlglot writes as a logarithm to a base."""
        bases = {"2": lambda value: math.log(value) / math.log(2.0), "10": math.log10}
        base, of = node.this, node.args.get("expression")
        if of is None or not isinstance(base, self._exp.Literal) or base.this not in bases:
            raise Unsupported(_shown(node))
        return Typed("double", strict(ops.logarithm(bases[base.this]), double(self.compile(of))))

    def _rounded(self, node: Any, function: Callable[[float], int]) -> Typed:
        typed = self.compile(node.this)
        if typed.type != "double" or node.args.get("decimals") or node.args.get("to"):
            raise Unsupported(_shown(node))
        return Typed("bigint", strict(function, typed))

    def _cast(self, node: Any) -> Typed:
        typed, target = self.compile(node.this), node.args["to"].this.name.lower()
        target = "string" if target in ("text", "varchar") and not node.args["to"].expressions else target
        if target == typed.type:
            return typed
        if target == "double" and is_number(typed):
            return double(typed)
        if target in WHOLE and typed.type == "double":
            return Typed(target, strict(ops.to_whole(target), typed))
        if target in WHOLE and typed.type in WHOLE:
            return Typed(target, strict(ops.fitting(target, operator.pos), typed))
        if target in (*WHOLE, "double") and typed.type == "boolean":
            return Typed(target, strict(float if target == "double" else int, typed))
        if target == "string" and typed.type in WHOLE:
            return Typed("string", strict(str, typed))
        if target == "string" and typed.type == "boolean":
            return Typed("string", strict(lambda value: "true" if value else "false", typed))
        raise Unsupported(f"a CAST of a {typed.type} to {target}")

    # -- truth --------------------------------------------------------------------------------------------------

    def _compared(self, node: Any, left_node: Any, right_node: Any) -> Typed:
        left, right = self.compile(left_node), self.compile(right_node)
        plain, of_doubles = self._comparisons[type(node)]
        whole = [side for side in (left, right) if side.type in WHOLE]
        if len(whole) == 1 and (left.literal is not None or right.literal is not None):
            # A whole number and a decimal literal are compared as they are.
            sides = [
                side if side.literal is None else constant("decimal", side.literal) for side in (left, right)
            ]
            return Typed("boolean", strict(plain, *sides))
        kind, sides = common(left, right)
        return Typed("boolean", strict(of_doubles if kind == "double" else plain, *sides))

    def _truth(self, node: Any) -> Typed:
        typed = self.compile(node)
        if typed.type not in ("boolean", "void"):
            raise Unsupported(f"a {typed.type} where a condition is needed")
        return typed

    def _both(self, node: Any, decides: bool) -> Typed:
        """``AND``, which False decides, and ``OR``, which True decides."""
        left, right = self._truth(node.this).value, self._truth(node.expression).value

        def value(row: Row) -> bool | None:
            first: bool | None = left(row)
            if first is decides:
                return decides
            second: bool | None = right(row)
            if second is decides:
                return decides
            return None if first is None or second is None else not decides

        return Typed("boolean", value)

    def _is(self, node: Any) -> Typed:
        if not isinstance(node.expression, self._exp.Null):
            raise Unsupported(_shown(node))
        inner = self.compile(node.this).value
        return Typed("boolean", lambda row: inner(row) is None)

    def _by_name(self, node: Any) -> Typed:
        """Functions that sqlglot has no class for."""
        name = str(node.this).lower()
        if name not in ("isnull", "isnotnull") or len(node.expressions) != 1:
            raise Unsupported(_shown(node))
        inner = self.compile(node.expressions[0]).value
        null = name == "isnull"
        return Typed("boolean", lambda row: (inner(row) is None) is null)

    def _isnan(self, node: Any) -> Typed:
        inner = double(self.compile(node.this)).value

        def value(row: Row) -> bool:
            number = inner(row)
            return number is not None and number != number

        return Typed("boolean", value)

    def _between(self, node: Any) -> Typed:
        exp = self._exp
        if node.args.get("symmetric"):
            raise Unsupported(_shown(node))
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
        high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
        return self._both(exp.And(this=low, expression=high), False)

    def _in(self, node: Any) -> Typed:
        exp = self._exp
        options = node.expressions
        if (
            not options
            or set(node.args) - {"this", "expressions"}
            and any(node.args.get(key) for key in set(node.args) - {"this", "expressions"})
        ):
            raise Unsupported(_shown(node))
        tests = [exp.EQ(this=node.this.copy(), expression=option.copy()) for option in options]
        # IN meets all its values in one type; equality meets them one by one.
        common(self.compile(node.this), *map(self.compile, options))
        found = tests[0]
        for test in tests[1:]:
            found = exp.Or(this=found, expression=test)
        return self.compile(found)

    # -- choices ------------------------------------------------------------------------------------------------

    def _if(self, node: Any) -> Typed:
        otherwise = node.args.get("false")
        return self._chosen([(self._truth(node.this), node.args["true"])], otherwise)

    def _case(self, node: Any) -> Typed:
        exp, subject = self._exp, node.args.get("this")
        branches = []
        for each in node.args["ifs"]:
            test = each.this if subject is None else exp.EQ(this=subject.copy(), expression=each.this.copy())
            branches.append((self._truth(test), each.args["true"]))
        return self._chosen(branches, node.args.get("default"))

    def _chosen(self, branches: list[tuple[Typed, Any]], otherwise: Any) -> Typed:
        last = constant("void", None) if otherwise is None else self.compile(otherwise)
        kind, results = common(*(self.compile(then) for _, then in branches), last)
        tests = [(test.value, result.value) for (test, _), result in zip(branches, results)]
        default = results[-1].value

        def value(row: Row) -> Any:
            for test, result in tests:
                if test(row):
                    return result(row)
            return default(row)

        return Typed(kind, value)

    def _coalesce(self, node: Any) -> Typed:
        kind, options = common(*map(self.compile, [node.this, *node.expressions]))
        functions = [option.value for option in options]

        def value(row: Row) -> Any:
            return next((found for function in functions if (found := function(row)) is not None), None)

        return Typed(kind, value)

    def _extreme(self, node: Any, better: Callable[[float, float], bool]) -> Typed:
        kind, options = common(*map(self.compile, [node.this, *node.expressions]))
        if kind not in WHOLE and kind != "double":
            raise Unsupported(_shown(node))
        functions = [option.value for option in options]

        def value(row: Row) -> Any:
            best = None
            for function in functions:
                found = function(row)
                if found is not None and (best is None or better(found, best)):
                    best = found
            return best

        return Typed(kind, value)

    # -- text ---------------------------------------------------------------------------------------------------

    def _text(self, node: Any) -> Typed:
        typed = self.compile(node)
        if typed.type != "string":
            raise Unsupported(f"a {typed.type} where a string is needed")
        return typed

    def _joined(self, nodes: list[Any]) -> Typed:
        joined, *others = [self._text(node) for node in nodes]
        for other in others:
            joined = Typed("string", strict(operator.add, joined, other))
        return joined


def _shown(node: Any) -> str:
    text: str = node.sql(dialect="spark")
    return text if len(text) <= 80 else f"{text[:77]}..."
