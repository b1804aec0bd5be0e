# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Which Java class is read by which function.

A family of stages is one module in :mod:`wmlclient.scoring.stages`; dropping a file there is all it takes to add
one. In it, each stage has a loader::

    @loads("org.apache.spark.ml.feature.NGram", inputCol=text, outputCol=text, n=integer)
    def ngram(saved: SavedStage, params: Params) -> Stage:
        ...
        def bind(frame: Frame) -> None:
            frame.words(params.inputCol, saved.uid)
            frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "array<string>")], row, batch)

        return Stage(saved.uid, saved.java_class, bind)

The keywords are every param the stage's class has in Spark: those that matter to scoring with a reader of their
JSON, those that only fitting uses as :data:`training`. A saved stage with any other param is refused by name: it
may mean something that is not known here.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from wmlclient.scoring.columns import Frame
from wmlclient.scoring.errors import UnsupportedModel
from wmlclient.scoring.hints import Back
from wmlclient.scoring.saved import SavedStage

__all__ = [
    "Params",
    "Stage",
    "boolean",
    "described",
    "integer",
    "load_stage",
    "loads",
    "number",
    "numbers",
    "supported",
    "text",
    "texts",
    "training",
    "training_params",
]

Reader = Callable[[Any], Any]


@frozen
class Stage:
    """A stage, read and ready to be bound to its input columns.

    Attributes:
        uid: Its uid.
        java_class: Its class.
        bind: Checks the input columns in a frame and adds the stage's steps to it.
        labels: For a ``StringIndexerModel``: its input columns and their labels, most frequent first.
        hints: For some input columns, values that mean something to the stage: labels, words, a vector of the right
            size. Rows that are generated for a comparison with Spark are made of them.
        children: The stages inside, for a pipeline.
        back: Leads hints on the output columns back to the input columns, where the stage only moves values or
            changes each in a way that can be undone.
    """

    uid: str
    java_class: str
    bind: Callable[[Frame], None]
    labels: Mapping[str, tuple[str, ...]] | None = None
    hints: Mapping[str, Sequence[Any]] = field(factory=dict)
    children: tuple[Stage, ...] = ()
    back: Back | None = None


class Params:
    """The params of a stage as attributes. One that is neither set nor has a default is ``None``."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def pairs(self) -> list[tuple[str, str]]:
        """Input and output columns, for the stages that take one or several."""
        if self.inputCol is not None:
            return [(self.inputCol, self.outputCol)]
        return list(zip(self.inputCols or (), self.outputCols or ()))


def text(value: Any) -> str:
    """A param that is a string."""
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def integer(value: Any) -> int:
    """A param that is a whole number."""
    if type(value) is not int:
        raise ValueError("is not a whole number")
    return value


def boolean(value: Any) -> bool:
    """A param that is true or false."""
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def number(value: Any) -> float:
    """A param that is a double; Spark writes ``"NaN"``, ``"Inf"``, ``"-Inf"`` for what JSON lacks."""
    if isinstance(value, str):
        named = {"NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
        if value in named:
            return named[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("is not a number")
    return float(value)


def _many(one: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("is not an array")
        return [one(item) for item in value]

    return read


texts = _many(text)
numbers = _many(number)


def training(value: Any) -> None:
    """A param that only fitting uses; its value is not looked at."""
    return None


@frozen
class _Loader:
    function: Callable[[SavedStage, Params], Stage]
    readers: Mapping[str, Reader]


_LOADERS: dict[str, _Loader] = {}
_found = False


def loads(
    *java_classes: str, **readers: Reader
) -> Callable[[Callable[[SavedStage, Params], Stage]], Callable[[SavedStage, Params], Stage]]:
    """Registers the loader of one or more classes; see the module's text."""

    def register(function: Callable[[SavedStage, Params], Stage]) -> Callable[[SavedStage, Params], Stage]:
        for name in java_classes:
            if name in _LOADERS:
                raise ValueError(f"{name} has two loaders")
            _LOADERS[name] = _Loader(function, readers)
        return function

    return register


def supported() -> tuple[str, ...]:
    """The Java classes that are scored natively."""
    _discover()
    return tuple(sorted(_LOADERS))


def described() -> dict[str, str]:
    """What is said of each of them."""
    return {name: inspect.getdoc(_LOADERS[name].function) or "" for name in supported()}


def training_params(java_class: str) -> frozenset[str] | None:
    """The params of a class that only fitting uses; None where the class is not scored natively."""
    if java_class not in supported():
        return None
    return frozenset(name for name, read in _LOADERS[java_class].readers.items() if read is training)


def _discover() -> None:
    global _found
    if not _found:
        from wmlclient.scoring import stages

        for module in pkgutil.iter_modules(stages.__path__):
            importlib.import_module(f"{stages.__name__}.{module.name}")
        _found = True


def load_stage(saved: SavedStage) -> Stage:
    """The stage, its params checked.

    Raises:
        UnsupportedModel: Its class or one of its params is not known here, or it does what is not done here exactly.
        ArchiveError: Its files are damaged.
    """
    _discover()
    if not (3, 0) <= saved.version < (5, 0):
        raise saved.refuse(f"it was saved by Spark {saved.spark_version}; 3.x and 4.x are read")
    loader = _LOADERS.get(saved.java_class)
    if loader is None:
        raise saved.refuse("the class is not supported")
    given = saved.params()
    unknown = sorted(set(given) - set(loader.readers))
    if unknown:
        raise saved.refuse(f"its parameter {unknown[0]!r} is not known")
    values: dict[str, Any] = {}
    for name, read in loader.readers.items():
        if given.get(name) is None:
            values[name] = None
            continue
        try:
            values[name] = read(given[name])
        except ValueError as error:
            raise UnsupportedModel(saved.uid, f"its parameter {name!r} {error}", saved.java_class) from None
    return loader.function(saved, Params(values))
