"""JAAS lines are written by us alone, and nothing in a password can add to them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmlclient.runner.engine.ports import KafkaEndpoint
from wmlclient.runner.jaas import PLAIN_MODULE, plain_login, quote
from wmlclient.runner.spark.kafka_options import connection_options

EVIL = '" ; com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://x'


def unquote(text: str) -> str:
    """As Kafka's StreamTokenizer reads a quoted string."""
    assert text[0] == text[-1] == '"'
    out, index, body = [], 0, text[1:-1]
    escapes = {"n": "\n", "r": "\r", "t": "\t"}
    while index < len(body):
        assert body[index] != '"', "the string ended early"
        if body[index] == "\\":
            index += 1
            out.append(escapes.get(body[index], body[index]))
        else:
            out.append(body[index])
        index += 1
    return "".join(out)


@given(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))))
def test_a_quoted_value_reads_back(value: str) -> None:
    line = quote(value)
    assert unquote(line) == value
    assert "\n" not in line


def test_a_password_cannot_name_another_login_module() -> None:
    line = plain_login("u", EVIL)
    assert line.startswith(f"{PLAIN_MODULE} required ")
    # Outside of quotes there is one module only.
    assert shlex.split(line.removesuffix(";"))[:2] == [PLAIN_MODULE, "required"]
    assert len(shlex.split(line.removesuffix(";"))) == 4


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")


def test_only_our_options_reach_the_client() -> None:
    endpoint = KafkaEndpoint(("h:1",), "t", "SASL_SSL", "u", EVIL)
    options = connection_options(endpoint)
    assert options["kafka.sasl.mechanism"] == "PLAIN"
    assert options["kafka.sasl.jaas.config"] == plain_login("u", EVIL)
    assert "kafka.sasl.jaas.config" not in connection_options(
        KafkaEndpoint(("h:1",), "t", "PLAINTEXT", "u", "p")
    )


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(KafkaEndpoint(("h:1",), "t", "SASL_SSL", "u", "hunter2"))
