"""The tables. Plain SQL types and JSON, so that another database than SQLite takes them as they are."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# The one number by which lists are ordered and paged; SQLite wants exactly INTEGER for a key that counts up.
_SEQ = BigInteger().with_variant(Integer, "sqlite")

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

definitions = Table(
    "definitions",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("body", JSON, nullable=False),
    Column("version_id", String(36), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("digest", String(80), index=True),
    Column("size", BigInteger),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("body", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("service", JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

versions = Table(
    "versions",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("model_id", String(36), ForeignKey("models.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("sample", JSON(none_as_null=True)),
    Column("body", JSON(none_as_null=True)),
    Column("digest", String(80), index=True),
    Column("size", BigInteger),
    Column("certificate", JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

deployments = Table(
    "deployments",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    # No cascade: a deployment is taken down before its model goes, and a forgotten one must be an error.
    Column("model_id", String(36), ForeignKey("models.id"), nullable=False, index=True),
    Column("version_id", String(36), ForeignKey("versions.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("desired", String(16), nullable=False),
    Column("status", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("failure", JSON(none_as_null=True)),
    Column("body", JSON, nullable=False),
    Column("spark_service", JSON(none_as_null=True)),
    Column("engine", String(16)),
    Column("engine_reason", Text),
    Column("previous_id", String(36)),
    Column("progress", JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

learning = Table(
    "learning",
    metadata,
    Column("model_id", String(36), ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("spark_service", JSON(none_as_null=True)),
    Column("last_record", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("model_id", String(36), ForeignKey("models.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("row", JSON, nullable=False),
    sqlite_autoincrement=True,
)

iterations = Table(
    "iterations",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("model_id", String(36), ForeignKey("models.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("records", BigInteger),
    Column("evaluations", JSON, nullable=False),
    Column("version_id", String(36)),
    Column("redeployed", Boolean),
    Column("message", Text),
    Column("failure", JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("username", String(100), nullable=False, index=True),
    Column("started_at", BigInteger, nullable=False),
    Column("renewed_at", BigInteger, nullable=False),
    Column("refresh_digest", String(80), nullable=False, unique=True),
    Column("access_id", String(36), nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("owner", String(100), nullable=False, index=True),
    Column("runtime", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("digest", String(80), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

web_services = Table(
    "web_services",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("owner", String(100), nullable=False),
    Column("runtime", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
    Column("digest", String(80), index=True),
    Column("size", BigInteger),
    Column("pool", JSON(none_as_null=True)),
    UniqueConstraint("name", "version"),
    sqlite_autoincrement=True,
)

executions = Table(
    "executions",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column(
        "service_id",
        String(36),
        ForeignKey("web_services.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("owner", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

execution_results = Table(
    "execution_results",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # As it was answered, so not read and written again.
    Column("result", LargeBinary, nullable=False),
)
