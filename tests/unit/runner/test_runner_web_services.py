"""Web services below HTTP: parameters, answers of workers, and one row for scikit-learn."""

from __future__ import annotations

import json
import socket
from typing import Any

import numpy as np
import pytest

from wmlclient.runner.engine import exchange, parameters
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.kernels import nursery, older

RESULT = exchange.failed("why", ["a.csv"])


class TestParameters:
    def test_seven_types_by_many_names(self) -> None:
        assert set(parameters.TYPES.values()) == {
            "logical",
            "numeric",
            "integer",
            "character",
            "vector",
            "matrix",
            "data.frame",
        }

    @pytest.mark.parametrize("name", ["", "1x", "_x", "class", "x y", None, 7])
    def test_names_that_no_variable_has(self, name: Any) -> None:
        with pytest.raises(Invalid, match="no name for a parameter"):
            parameters.definitions([{"name": name, "type": "vector"}], "inputs")

    def test_null_is_a_value_of_all_types(self) -> None:
        for kind in set(parameters.TYPES.values()):
            parameters.check([{"name": "x", "type": kind}], {"x": None})

    def test_long_names_are_cut(self) -> None:
        with pytest.raises(Invalid) as caught:
            parameters.check([], {"x" * 1000: 1})
        assert len(str(caught.value)) < 200


class TestAnswer:
    @staticmethod
    def framed(body: bytes) -> bytes:
        return exchange.LENGTH.pack(len(body)) + body

    def test_in_pieces(self) -> None:
        whole, answer = self.framed(json.dumps(RESULT).encode()), exchange.Answer()
        assert [answer.add(whole[i : i + 1]) for i in range(len(whole))] == [False] * (len(whole) - 1) + [
            True
        ]
        assert json.loads(answer.body()) == RESULT

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b'{"success": true}', b'{"success": NaN}', b"\xff"],
    )
    def test_what_is_none(self, body: bytes) -> None:
        answer = exchange.Answer()
        assert answer.add(self.framed(body))
        with pytest.raises(exchange.BadAnswer):
            answer.body()

    def test_what_is_too_large(self) -> None:
        with pytest.raises(exchange.BadAnswer, match="larger than 256 MiB"):
            exchange.Answer().add(exchange.LENGTH.pack(1 << 40))

    def test_both_ends_frame_alike(self) -> None:
        here, there = socket.socketpair()
        with here, there:
            here.sendall(exchange.framed(b"request"))
            assert nursery.received(there) == b"request"
            here.close()
            with pytest.raises(EOFError):
                nursery.received(there)


class TestOneRow:
    class Validation:
        """In the place of scikit-learn's module."""

        @staticmethod
        def check_array(array: Any, accept_sparse: bool = False, *, ensure_2d: bool = True) -> Any:
            array = np.asarray(array)
            if ensure_2d and array.ndim != 2:
                raise ValueError("Expected 2D array")
            return array

        @staticmethod
        def _check_n_features(estimator: Any, X: Any, reset: bool) -> int:
            return int(np.shape(X)[1])

    def test_is_a_table(self) -> None:
        module: Any = self.Validation()
        older._change(module)
        for row in ([7, 3.2, 4.7, 1.4], (7, 3.2, 4.7, 1.4), np.array([7, 3.2, 4.7, 1.4])):
            assert module.check_array(row).shape == (1, 4)
            assert module._check_n_features(None, row, reset=False) == 4
        assert module.check_array([[1, 2], [3, 4]]).shape == (2, 2)

    def test_labels_stay_as_they_are(self) -> None:
        module: Any = self.Validation()
        older._change(module)
        assert module.check_array([0, 1, 2], ensure_2d=False).shape == (3,)

    def test_only_where_the_runner_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path: list[Any] = []
        monkeypatch.setattr("sys.meta_path", path)
        monkeypatch.delenv(older.VARIABLE, raising=False)
        older.install()
        assert path == []
        monkeypatch.setenv(older.VARIABLE, "1")
        older.install()
        assert len(path) == 1
        assert path[0].find_spec("json", None) is None
