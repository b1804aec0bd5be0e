"""Recommendations by matrix factorization.

Source: ``ALSModel`` and ``ALSModelParams.checkIntegers`` of Spark 4.2. Equal to the last bit: floats of 32 bits, summed
one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmlclient.scoring.blocks import Block, rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, is_numeric
from wmlclient.scoring.registry import Params, Stage, loads, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.types import INTEGER_RANGES

_LOW, _HIGH = INTEGER_RANGES["int"]
_UNKNOWN = -1

Singles = NDArray[np.float32]


@loads(
    "org.apache.spark.ml.recommendation.ALSModel",
    userCol=text,
    itemCol=text,
    predictionCol=text,
    coldStartStrategy=text,
    blockSize=training,
)
def als_model(saved: SavedStage, params: Params) -> Stage:
    """``ALSModel``: the product of a user's and an item's factors; NaN, or no row, if one of them is unknown.

    As in Spark, the columns of users and items become ``int``, and a null or a number that is none is an error.
    """
    rank = saved.metadata.get("rank")
    if type(rank) is not int or rank < 1:
        raise saved.damaged("its rank is missing")
    users, user_factors = _factors(saved, "userFactors", rank)
    items, item_factors = _factors(saved, "itemFactors", rank)
    strategy = (params.coldStartStrategy or "nan").lower()
    if strategy not in ("nan", "drop"):
        raise saved.refuse(f"coldStartStrategy is {params.coldStartStrategy!r}")
    user_col, item_col = params.userCol or "user", params.itemCol or "item"
    if user_col == item_col:
        raise saved.refuse("users and items come from one column")
    find_user, find_item = _finder(users, user_col), _finder(items, item_col)

    def row(user: Any, item: Any) -> float:
        at_user, at_item = find_user(user), find_item(item)
        if at_user < 0 or at_item < 0:
            prediction = float("nan")
        else:
            with np.errstate(all="ignore"):
                products = user_factors[at_user] * item_factors[at_item]
                # accumulate adds one after the other; a sum would be pairwise. Java starts with 0.0f.
                prediction = float(np.add.accumulate(products)[-1]) + 0.0
        if strategy == "drop" and prediction != prediction:
            raise Drop("its user or item was not seen in training")
        return prediction

    def batch(user_column: Block, item_column: Block) -> tuple[Block] | None:
        at_users = np.array([find_user(user) for user in rows_of(user_column)], dtype=np.int64)
        at_items = np.array([find_item(item) for item in rows_of(item_column)], dtype=np.int64)
        total: Singles = np.zeros(len(at_users), dtype=np.float32)
        with np.errstate(all="ignore"):
            for of_user, of_item in zip(user_factors.T, item_factors.T, strict=True):
                total += of_user[at_users] * of_item[at_items]
        unknown = (at_users < 0) | (at_items < 0)
        if strategy == "drop" and (unknown.any() or np.isnan(total).any()):
            return None
        total[unknown] = np.nan
        return (total.tolist(),)

    def bind(frame: Frame) -> None:
        for name in (user_col, item_col):
            column = frame.find(name, saved.uid, is_numeric, "a whole number", "int")
            if column.type not in INTEGER_RANGES:
                raise saved.refuse(
                    f"the column {name!r} is {column.type}, and Spark makes it an int; give it as one"
                )
            frame.replace(name, type="int")
        frame.add(saved.uid, [user_col, item_col], [Column(params.predictionCol, "float")], row, batch)

    hints = {user_col: users[:1000], item_col: items[:1000]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _factors(saved: SavedStage, name: str, rank: int) -> tuple[list[int], Singles]:
    """The ids, ascending, and the factors of each."""
    rows = saved.rows(name)
    if rows and not {"id", "features"} <= set(rows[0]):
        raise saved.damaged(f"{name!r} has no ids or no features")
    found = {row["id"]: row["features"] for row in rows}
    if len(found) != len(rows):
        raise saved.refuse(f"an id is twice in {name!r}")
    if any(factors is None or len(factors) < rank for factors in found.values()):
        raise saved.damaged(f"{name!r} has not {rank} factors for each id")
    ids = sorted(found)
    # The last row is that of unknown ids, so that -1 finds something.
    factors = [found[each][:rank] for each in ids] + [[0.0] * rank]
    return ids, np.array(factors, dtype=np.float32)


def _finder(ids: list[int], name: str) -> Callable[[Any], int]:
    """The place of an id, or -1."""
    places = {each: place for place, each in enumerate(ids)}
    get = places.get

    def find(value: Any) -> int:
        place = get(value)
        if place is not None:
            return place
        if value is None:
            raise Invalid(f"the column {name!r} is null")
        if not _LOW <= value <= _HIGH:
            raise Invalid(f"{value} in the column {name!r} does not fit int")
        return _UNKNOWN

    return find


@loads(
    "org.apache.spark.ml.fpm.FPGrowthModel",
    **dict.fromkeys(
        ["itemsCol", "predictionCol", "minConfidence", "minSupport", "numPartitions"],
        training,
    ),
)
def fp_growth_model(saved: SavedStage, params: Params) -> Stage:
    """``FPGrowthModel``, whose answer has no order of its own."""
    raise saved.refuse(
        "the order of the items in its prediction is that of the association rules, which Spark derives again "
        "in a shuffle each time it scores"
    )
