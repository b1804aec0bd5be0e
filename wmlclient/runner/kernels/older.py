"""One row where scikit-learn wants a table: how it was until 2017, for code that was written then.

Loaded by its path in the processes of sessions and web services. Until 0.18, scikit-learn took a list of numbers for
one row: ``predict([7, 3.2, 4.7, 1.4])``. Since then that is an error.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

#: Said by the runner in the environment.
VARIABLE = "WMLCLIENT_ONE_ROW_PREDICT"
_MODULE = "sklearn.utils.validation"


def install() -> None:
    """Watch for scikit-learn, where the runner says so."""
    if os.environ.get(VARIABLE):
        sys.meta_path.insert(0, _Finder())


# Without the base classes of importlib.abc: that brings tempfile and random, which each copy of a process then seeds.
class _Finder:
    """Finds one module, by the other finders, and changes it before anybody imports from it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = _Loader(spec.loader)
            spec.loader = loader
        return spec


class _Loader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _change(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _change(module: Any) -> None:
    check_array: Callable[..., Any] = module.check_array
    check_features: Callable[..., Any] = module._check_n_features

    @functools.wraps(check_array)
    def with_one_row(array: Any, *args: Any, **named: Any) -> Any:
        return check_array(_table(array) if named.get("ensure_2d", True) else array, *args, **named)

    @functools.wraps(check_features)
    def with_features_of_one_row(estimator: Any, X: Any, *args: Any, **named: Any) -> Any:
        return check_features(estimator, _table(X), *args, **named)

    module.check_array = with_one_row
    module._check_n_features = with_features_of_one_row


def _table(array: Any) -> Any:
    import numpy as np

    if isinstance(array, (list, tuple, np.ndarray)) and np.ndim(np.asarray(array, dtype=object)) == 1:
        return np.atleast_2d(array)
    return array
