"""JAAS lines, written by us from a user and a password; never taken from a request.

A JAAS line names a Java class to be loaded, which has been a way into brokers' clients (CVE-2023-25194 and its
successors). So its text is built here alone, and quoted.
"""

from __future__ import annotations

PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


def quote(value: str) -> str:
    """A JAAS string: in double quotes, with backslash, quote and control characters escaped.

    Raises:
        ValueError: It holds a NUL, which SASL/PLAIN uses as its separator.

    Example:
        >>> quote('pa"ss')
        '"pa\\\\"ss"'
    """
    if "\0" in value:
        raise ValueError("a Kafka user or password must not contain NUL")
    out = value.replace("\\", "\\\\").replace('"', '\\"')
    # JaasConfig reads with a StreamTokenizer: a raw line break would end the string.
    for raw, escaped in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        out = out.replace(raw, escaped)
    return f'"{out}"'


def plain_login(user: str, password: str, *, server: bool = False) -> str:
    """The value of ``sasl.jaas.config`` for SASL/PLAIN.

    Args:
        user: The user.
        password: The password.
        server: Whether it is for a broker, which then lets this user log in.
    """
    options = [f"username={quote(user)}", f"password={quote(password)}"]
    if server:
        options.append(f"user_{user}={quote(password)}")
    return f"{PLAIN_MODULE} required {' '.join(options)};"
