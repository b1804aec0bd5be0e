"""Certificates made in the publisher's own Spark session, so that a service without Java can rely on them."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmlclient import exchange
from wmlclient.archive import Archive, archived
from wmlclient.certificate import Certificate
from wmlclient.errors import ConfigError, NotAModelError, PayloadError
from wmlclient.hadoop import to_read

if TYPE_CHECKING:
    from wmlclient.scoring.proof import Spark

ROWS = 1000
SEED = 20170907

Convert = Callable[[Any], Any]


def certify(
    model: Any,
    sample: Any = None,
    *,
    training_schema: Any = None,
    label_col: str | None = None,
    rows: int = ROWS,
    seed: int = SEED,
) -> Certificate:
    """Compares the native scorer with the Spark of this process, and returns the certificate.

    A certificate is of one saved model. Spark names and dates its files anew each time it saves, so to publish with a
    certificate later, save the model, and give the folder both to this and to ``publish``. For a live model,
    ``publish(..., certificate="local")`` does it in one go.

    Args:
        model: a fitted ``PipelineModel``, another fitted stage, or the path of a saved one.
        sample: rows like those it was trained on, as Spark or pandas DataFrame or as list of dicts. The first 1,000
            are compared.
        training_schema: the columns and their types, instead of what the sample says. Needed without a sample.
        label_col: the column it predicts; by default found in the pipeline.
        rows: how many rows to generate from the schema and the model's own edges.
        seed: which; the same seed gives the same rows.

    Returns:
        A certificate for ``client.models.publish(..., certificate=...)``. Its ``engine`` is ``"spark"`` if a value
        differs or a stage is not scored natively.

    Raises:
        NotAModelError: it is no fitted Spark ML pipeline.
        PayloadError: sample or schema do not go with it.
        ConfigError: there is no Spark here.

    Example:
        >>> certificate = wmlclient.certify("sentiment", train)           # doctest: +SKIP
        >>> certificate.save("sentiment.certificate.json")                # doctest: +SKIP
    """
    from wmlclient.publishing import described

    with archived(model) as archive:
        body = described("model", archive, sample, training_schema, label_col)
        return made(archive, body, lambda folder: Session(model, folder), rows, seed)


def made(
    archive: Archive,
    body: Mapping[str, Any],
    spark: Callable[[Path], Spark],
    rows: int = ROWS,
    seed: int = SEED,
) -> Certificate:
    """The certificate of an archive.

    Args:
        archive: the model.
        body: the request that describes it to a service, with its sample.
        spark: gives the Spark for the folder of the saved model.
        rows: how many rows to generate.
        seed: which.

    Raises:
        PayloadError: schema or sample do not fit the model.
        NotAModelError: Spark cannot load it.
    """
    from wmlclient.scoring import ArchiveError, InputError, SparkRefused
    from wmlclient.scoring.archive import unpack
    from wmlclient.scoring.metadata import find_root
    from wmlclient.scoring.proof import prove

    label, training = body.get("label_column"), body["training_data_schema"]
    schema = {"type": "struct", "fields": [f for f in training["fields"] if f["name"] != label]}
    with tempfile.TemporaryDirectory(prefix="wmlclient-certify-") as name:
        folder = Path(name) / "model"
        unpack(archive.path, folder)
        try:
            certificate = prove(
                find_root(folder),
                schema,
                spark(find_root(folder)),
                sample=_without(label, body.get("sample")),
                label=label,
                training=training,
                rows=rows,
                seed=seed,
            )
        except InputError as error:
            raise PayloadError(f"{error}. Give the columns that the model reads.") from None
        except ArchiveError as error:
            raise NotAModelError(f"{error}.") from None
        except SparkRefused as error:
            raise NotAModelError(f"Spark cannot score with this model: {error}") from None
    return Certificate.from_json(certificate)


def _without(label: str | None, sample: Any) -> tuple[list[str], list[list[Any]]] | None:
    """The sample's columns that the model is scored with."""
    if not sample:
        return None
    kept = [at for at, name in enumerate(sample["fields"]) if name != label]
    return [sample["fields"][at] for at in kept], [[row[at] for at in kept] for row in sample["values"]]


class Session:
    """The Spark of this process with a model; see :class:`wmlclient.scoring.proof.Spark`.

    Args:
        model: A live model, or the path that it was published from.
        folder: The saved model, for a path.
    """

    def __init__(self, model: Any, folder: Path) -> None:
        try:
            from pyspark.ml import PipelineModel
            from pyspark.sql import SparkSession
        except ImportError:
            raise ConfigError(
                "A certificate is made with Spark, and pyspark is not installed. Run: pip install pyspark"
            ) from None
        try:
            self._session = SparkSession.builder.getOrCreate()
        except Exception as error:  # no Java, mostly; pyspark has many ways to say so
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(f"Spark does not start here: {reason}") from None
        saved = isinstance(model, str | os.PathLike)
        self._model = PipelineModel.load(to_read(folder)) if saved else model

    def version(self) -> str:
        """Spark's version."""
        return str(self._session.version)

    def transform(
        self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> exchange.Answer:
        """All output columns for rows in their JSON form.

        Raises:
            SparkRefused: Spark cannot score them.
        """
        from pyspark.sql import functions
        from pyspark.sql.types import StructType

        from wmlclient.scoring import SparkRefused

        try:
            wanted = exchange.request_schema(schema, fields)
            convert = [_to_spark(column["type"]) for column in wanted["fields"][1:]]
            data = [
                (number, *(None if v is None else c(v) for c, v in zip(convert, row, strict=True)))
                for number, row in enumerate(values)
            ]
        except (exchange.ExchangeError, TypeError, ValueError, ArithmeticError) as error:
            raise SparkRefused(str(error)) from None
        try:
            given = self._session.createDataFrame(data, StructType.fromJson(wanted), verifySchema=False)
            scored = self._model.transform(given)
            columns = [functions.col("`" + name.replace("`", "``") + "`") for name in scored.columns]
            options = {"ignoreNullFields": "false", "timeZone": "UTC"}
            lines = scored.select(functions.to_json(functions.struct(*columns), options).alias("j")).collect()
            output = scored.schema.jsonValue()
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j"):
                raise
            if type(error).__name__ == "Py4JNetworkError":
                raise ConfigError("The Spark session has ended. Start a new one.") from None
            raise SparkRefused(str(error).strip().partition("\n")[0][:500]) from None
        return exchange.from_lines("[" + ",".join(line[0] for line in lines) + "]", output, fields, values)


def _to_spark(kind: Any) -> Convert:
    """What makes a value of a schema's type from its JSON form."""
    short = exchange.simple_string(kind)
    if short == "vector":
        return _vector
    if isinstance(kind, dict) and kind.get("type") == "array":
        element = _to_spark(kind["elementType"])
        return lambda value: [None if item is None else element(item) for item in value]
    if short in ("double", "float"):
        return float  # also of the words NaN and Infinity
    if short in ("int", "bigint", "smallint", "tinyint"):
        return int
    if short.startswith("decimal"):
        return lambda value: Decimal(str(value))
    if short == "date":
        return dt.date.fromisoformat
    if short.startswith("timestamp"):
        return lambda value: dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return lambda value: value


def _vector(value: Any) -> Any:
    from pyspark.ml.linalg import Vectors

    if isinstance(value, dict):
        value = value["values"] if value["type"] == 1 else [value["size"], value["indices"], value["values"]]
    if len(value) == 3 and isinstance(value[1], list):
        return Vectors.sparse(value[0], value[1], [float(item) for item in value[2]])
    return Vectors.dense([float(item) for item in value])


def given(certificate: Any) -> dict[str, Any]:
    """A certificate in any of its forms, as JSON.

    Raises:
        PayloadError: it is none.
    """
    if isinstance(certificate, Certificate):
        return certificate.to_json()
    if isinstance(certificate, Mapping):
        return dict(certificate)
    if isinstance(certificate, str | os.PathLike):
        path = Path(certificate).expanduser()
        try:
            found = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise PayloadError(
                f"certificate={os.fspath(certificate)!r}: there is no such file. Give one, a Certificate, or 'local'."
            ) from None
        except (OSError, ValueError):
            raise PayloadError(f"{path}: not a certificate. Make one with wmlclient parity.") from None
        if isinstance(found, dict):
            return found
    raise PayloadError(f"certificate={certificate!r:.80}: give a path, a Certificate, or 'local'.")
