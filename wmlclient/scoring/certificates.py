"""Certificates as they travel: their members, their seal, and whether one fits a model and this scorer.

The seal tells a certificate that was damaged or edited from one that was made. It is a checksum and no signature: who
may publish a model may as well vouch for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from wmlclient.scoring.digests import scorer_digest

__all__ = ["FORMAT", "MEMBERS", "flaw", "sealed"]

Certificate = dict[str, Any]

FORMAT = 1
"""The format of certificates that is written and read here."""

MEMBERS: Mapping[str, tuple[type, ...]] = {
    "format": (int,),
    "state": (str,),
    "engine": (str,),
    "reason": (str,),
    "rows": (int,),
    "sample_rows": (int,),
    "generated_rows": (int,),
    "refused_rows": (int,),
    "mismatches": (int,),
    "largest_difference": (float,),
    "columns": (dict,),
    "examples": (list,),
    "input": (dict,),
    "spark_version": (str,),
    "seed": (int,),
    "model_digest": (str,),
    "scorer_digest": (str,),
    "checked_at": (str,),
}
"""Every member but the seal, and what it may be; any may be missing or null where it says nothing."""

_EXAMPLE = ("row", "origin", "input", "column", "native", "spark")


def sealed(certificate: Mapping[str, Any]) -> Certificate:
    """The certificate with its seal; what is no member is left out."""
    kept = _said(certificate)
    return kept | {"seal": _seal(kept)}


def _said(certificate: Mapping[str, Any]) -> Certificate:
    """The members that say something: on its way a certificate may lose a null or get an empty list."""
    return {name: certificate[name] for name in MEMBERS if certificate.get(name) not in (None, {}, [])}


def _seal(certificate: Mapping[str, Any]) -> str:
    said = _said(certificate)
    if "examples" in said:
        # A service writes null for what an example does not have.
        said["examples"] = [{key: example.get(key) for key in _EXAMPLE} for example in said["examples"]]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def flaw(certificate: Any, model_digest: str, inputs: Mapping[str, str] | None = None) -> str | None:
    """Why a certificate does not hold for a model and this scorer, or None if it does.

    Args:
        certificate: Anything; it may come from anywhere.
        model_digest: What :func:`wmlclient.scoring.model_digest` says of the model.
        inputs: The columns that the model's stages read with their short types, or None where the native scorer
            does not know the model.
    """
    if not isinstance(certificate, Mapping):
        return "it is not a JSON object"
    if certificate.get("format") != FORMAT or isinstance(certificate.get("format"), bool):
        return f"its format is {certificate.get('format')!r:.40}, and {FORMAT} is read here"
    if not _well_formed(certificate):
        return "it is damaged: a member is not of its type"
    if certificate.get("seal") != _seal(certificate):
        return "it was changed after it was made: its seal does not fit"
    if certificate.get("state") != "checked" or certificate.get("engine") not in ("native", "spark"):
        return f"its state is {certificate.get('state')!r:.40}: it proves nothing"
    if certificate["engine"] == "native" and (
        certificate.get("mismatches") != 0 or not certificate.get("rows")
    ):
        return "it says 'native' without a comparison that found no mismatch"
    if certificate.get("model_digest") != model_digest:
        return (
            f"it is of another model, {certificate.get('model_digest')!s:.19}; this one is {model_digest:.19}"
        )
    if certificate.get("scorer_digest") != scorer_digest():
        return (
            "it was made with another version of the native scorer; make it with the version that runs here"
        )
    if inputs is not None and certificate["engine"] == "native" and certificate.get("input") != dict(inputs):
        return (
            f"it was made for the input {_named(certificate.get('input') or {})}; "
            f"this model is published with {_named(inputs)}"
        )
    return None


def _well_formed(certificate: Mapping[str, Any]) -> bool:
    for name, kinds in MEMBERS.items():
        value = certificate.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            return False
    if any(type(value) is not float for value in (certificate.get("columns") or {}).values()):
        return False
    return all(
        isinstance(example, dict) and set(example) <= set(_EXAMPLE) and isinstance(example.get("row"), int)
        for example in certificate.get("examples") or ()
    )


def _named(inputs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in inputs.items())[:200] or "without columns"
