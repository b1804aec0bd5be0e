"""A real LDAP server, in a process of its own: the in-memory directory of UnboundID's SDK, fetched once, pinned."""

from __future__ import annotations

import base64
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certificates
import waiting
from attrs import frozen
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from wmlclient.runner import jars
from wmlclient.runner.java import find_java

JAR = jars.Jar(
    "com.unboundid",
    "unboundid-ldapsdk",
    "7.0.1",
    "f8db797e19e461ab5694e0e4b57381706e84e292186df48f70ebbc3f59501b46",
)
BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
ADMIN, ADMIN_PASSWORD = "cn=reader", "look-s3cr3t"
PASSWORD = "pass wörd"

#: Users and the groups that they are in.
MEMBERS = {
    "anna": ("owners", "readers"),
    "bert": ("contributors",),
    "cora": ("readers",),
    "dora": (),
    "O'Neil (x)*": ("readers",),
}


@frozen
class Served:
    """A server that runs."""

    port: int
    ca_file: Path


def _entries() -> str:
    found = [
        f"dn: {BASE}\nobjectClass: domain\ndc: example",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people",
        f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups",
    ]
    for name, groups in MEMBERS.items():
        lines = [f"dn: uid={name},{PEOPLE}", "objectClass: inetOrgPerson", f"uid: {name}", "cn: x", "sn: x"]
        lines += [f"memberOf: CN={group}, {GROUPS}" for group in groups]
        password = base64.b64encode(PASSWORD.encode()).decode()
        found.append("\n".join([*lines, f"userPassword:: {password}"]))
    for group in ("owners", "contributors", "readers"):
        members = [f"member: uid={name},{PEOPLE}" for name, groups in MEMBERS.items() if group in groups]
        found.append("\n".join([f"dn: cn={group},{GROUPS}", "objectClass: groupOfNames", *members]))
    return "\n\n".join(found) + "\n"


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A key store and the certificate in it, of loopback."""
    key, made = certificates.self_signed()
    store, public = folder / "store.p12", folder / "ca.pem"
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(b"ldap", key, made, None, BestAvailableEncryption(b"changeit"))
    )
    public.write_bytes(made.public_bytes(Encoding.PEM))
    return store, public


def _jar() -> Path:
    target = jars.cache_dir() / "jars" / f"{JAR.name}-{JAR.rev}"
    if not target.is_dir():
        jars._fetch_locked("directory", [JAR], target, None)
    jars._verify([JAR], target, cached=True)
    return target / JAR.file


@contextmanager
def served(folder: Path, flag: str) -> Iterator[Served]:
    """A server that speaks TLS at once (``--useSSL``) or when asked (``--useStartTLS``)."""
    store, public = _certificate(folder)
    entries = folder / "entries.ldif"
    entries.write_text(_entries(), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(find_java(for_spark=False).executable), "-Xmx128m", "-XX:TieredStopAtLevel=1"]
    command += ["-cp", str(_jar()), "com.unboundid.ldap.listener.InMemoryDirectoryServerTool"]
    command += ["--baseDN", BASE, "--port", str(port), "--ldifFile", str(entries), flag]
    command += ["--keyStorePath", str(store), "--keyStorePassword", "changeit", "--keyStoreType", "PKCS12"]
    command += ["--additionalBindDN", ADMIN, "--additionalBindPassword", ADMIN_PASSWORD]
    command += ["--authenticationRequiredOperationType", "search"]
    with open(folder / "directory.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:

        def listening() -> bool:
            assert process.poll() is None, (folder / "directory.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        waiting.eventually(listening)
        yield Served(port, public)
    finally:
        process.kill()
        process.wait()
