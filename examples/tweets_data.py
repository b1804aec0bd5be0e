"""4,200 real tweets, each with the mean of ten or more people's sentiment ratings.

They are the ground truth of VADER (C.J. Hutto and E. Gilbert, ICWSM 2014, MIT licence), inside the source
distribution of the Python package ``vaderSentiment`` 3.3.2. pip downloads it once into the user's cache; the
environment variable ``WMLCLIENT_TWEETS`` names a tab-separated file to use instead: id, mean rating, text.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from attrs import frozen
from platformdirs import user_cache_path

PACKAGE = "vaderSentiment==3.3.2"
MEMBER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
INNER = "hutto_ICWSM_2014/tweets_GroundTruth.txt"
SHA256 = "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f"
COUNT = 4200


@frozen
class Tweet:
    """One tweet: its number, its mean rating from -4 to 4, and its text, HTML entities as published."""

    id: int
    mean_sentiment: float
    text: str


class TweetsUnavailable(RuntimeError):
    """The tweets cannot be had; the text says why and what to do."""


def load_tweets() -> list[Tweet]:
    """All tweets, in the order of their numbers.

    Raises:
        TweetsUnavailable: There is no network, or what pip brought is not that file.
    """
    given = os.environ.get("WMLCLIENT_TWEETS")
    if given:
        path = Path(given)
        if not path.is_file():
            raise TweetsUnavailable(f"WMLCLIENT_TWEETS names {given}, which is no file")
        return parse(path.read_text("utf-8"))
    cached = user_cache_path("wmlclient") / "tweets.tsv"
    if not cached.is_file() or hashlib.sha256(cached.read_bytes()).hexdigest() != SHA256:
        keep(cached, download())
    return parse(cached.read_text("utf-8"))


def parse(text: str) -> list[Tweet]:
    """The tweets in a tab-separated text; a first line of column names is skipped."""
    tweets = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split("\t", 2)
        if number == 1 and cells[0] == "id":
            continue
        if len(cells) != 3:
            raise TweetsUnavailable(f"line {number} of the tweets has {len(cells)} columns, not 3")
        tweets.append(Tweet(int(cells[0]), float(cells[1]), cells[2]))
    if len(tweets) != COUNT:
        raise TweetsUnavailable(f"there are {len(tweets)} tweets, not {COUNT}")
    return tweets


def download() -> bytes:
    """The file of ratings, out of the package's source distribution."""
    with tempfile.TemporaryDirectory(prefix="wmlclient-tweets-") as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--no-binary", ":all:", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        files = list(Path(folder).glob("*.tar.gz"))
        if done.returncode != 0 or not files:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise TweetsUnavailable(
                f"the tweets cannot be downloaded: pip download {PACKAGE} failed: {last}\n"
                "Connect to the network once, or set WMLCLIENT_TWEETS to a file with id, mean rating and text."
            )
        return extract(files[0])


def extract(archive: Path) -> bytes:
    """The ratings in the archive inside the archive, known by their checksum."""
    try:
        with tarfile.open(archive) as outer:
            member = outer.extractfile(MEMBER)
            assert member is not None
            with tarfile.open(fileobj=io.BytesIO(member.read())) as inner:
                ratings = inner.extractfile(INNER)
                assert ratings is not None
                data = ratings.read()
    except (tarfile.TarError, KeyError, AssertionError, OSError) as error:
        raise TweetsUnavailable(f"{archive.name} does not hold {INNER}: {error}") from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise TweetsUnavailable(
            f"{INNER} in {archive.name} is not the file that was expected; delete pip's cache"
        )
    return data


def keep(path: Path, data: bytes) -> None:
    """Writes a file so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


if __name__ == "__main__":
    print(f"{len(load_tweets()):,} tweets")
