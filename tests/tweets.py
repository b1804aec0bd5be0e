"""The tweets of the examples, for the tests: real text with all that real text has."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import tweets_data


def load_tweets() -> list[tuple[int, float, str]]:
    """Id, mean rating (-4 to 4) and text of 4,200 tweets; see ``examples/tweets_data.py``."""
    return [(tweet.id, tweet.mean_sentiment, tweet.text) for tweet in tweets_data.load_tweets()]
