"""How a runner is started: what the command line, the environment and the code may say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import field, frozen

from .directory import DirectorySettings
from .engine import consuming, kernels, sessions
from .issuer import IssuerSettings
from .quotas import Quotas

DEFAULT_PORT = 12800

KafkaSecurity = Literal["sasl_plaintext", "plaintext"]


@frozen
class Limits:
    """How much a client may send.

    Attributes:
        json: Bytes of a JSON body, a table to be scored too.
        content: Bytes of an archive.
        receive: Seconds within which a JSON body has to be here.
        receive_content: Seconds within which an archive has to be here.
    """

    json: int = 16 << 20
    content: int = 200 << 20
    receive: float = 60.0
    receive_content: float = 900.0


@frozen
class Settings:
    """Settings of a runner.

    Attributes:
        home: Its folder; made where it is missing.
        host: Address to listen on; loopback by default.
        port: Port to listen on; 0 takes a free one.
        username: User; None for that of the last start, or a new one.
        password: Password; None for that of the last start, or a new one.
        instance_id: Service instance; None for that of the last start, or a new one.
        kafka: Whether the embedded broker is started at once.
        kafka_security: How clients of the embedded broker log in.
        spark_master: Spark master where a request names none.
        spark_conf: File with settings for Spark, as its own ``spark-defaults.conf``, or None.
        allow_uncertified: Whether models that cannot be compared with Spark are scored natively all the same.
        token_lifetime: Seconds until a token expires.
        sync_wait: Seconds that a synchronous call waits for a deployment before it answers with its present state.
        allow_foreign_classes: Whether a model may hold stages that are not Spark's own, whose code Spark then runs.
        score_wait: Seconds that a score waits for a deployment that is on its way.
        limits: How much a client may send.
        data_folders: Folders of this machine whose files batches may use.
        quotas: How often clients may call, and how much they may keep.
        sessions: How sessions are kept.
        session_limits: What each session may use, and each request to a web service.
        services: How web services are kept.
        directory: Where users are who are not kept here; None for nowhere.
        issuer: Whose tokens are taken beside those of here; None for nobody's.
        one_row_predict: Whether scikit-learn takes one row where it wants a table, as it did until 2017.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    instance_id: str | None = None
    kafka: bool = False
    kafka_security: KafkaSecurity = "sasl_plaintext"
    spark_master: str = "local[2]"
    spark_conf: Path | None = None
    allow_uncertified: bool = False
    token_lifetime: float = 3600.0
    sync_wait: float = 30.0
    score_wait: float = 120.0
    allow_foreign_classes: bool = False
    limits: Limits = field(factory=Limits)
    data_folders: tuple[Path, ...] = ()
    quotas: Quotas = field(factory=Quotas)
    sessions: sessions.Settings = field(factory=sessions.Settings)
    session_limits: kernels.Limits = field(factory=kernels.Limits)
    services: consuming.Settings = field(factory=consuming.Settings)
    directory: DirectorySettings | None = None
    issuer: IssuerSettings | None = None
    one_row_predict: bool = False
