"""What the settings of a directory may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wmlclient.runner.directory import DirectoryRefused, read_settings, settings_of

GOOD = {"url": "ldaps://directory.example", "base": "dc=example"}


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    path.write_text(json.dumps({**GOOD, "owners": "cn=admins", "seconds": 2}))
    found = read_settings(path)
    assert (found.url, found.base, found.owners, found.seconds) == (*GOOD.values(), "cn=admins", 2)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "`url` is missing"),
        ({}, "`url` is missing"),
        ({**GOOD, "urll": "x"}, "Unknown: urll"),
        ({**GOOD, "base": 7}, "`base` is of another type"),
        ({**GOOD, "starttls": "yes"}, "`starttls` is of another type"),
        ({**GOOD, "url": "http://directory.example"}, "no address of a directory"),
        ({**GOOD, "url": "ldaps://u:p@directory.example"}, "holds a user"),
        ({**GOOD, "url": "ldap://directory.example"}, "in the clear"),
        ({**GOOD, "base": ""}, "`base` is missing"),
        ({**GOOD, "filter": "(uid=anna)"}, "`filter` has no {}"),
        ({**GOOD, "user_dn": "uid=anna"}, "`user_dn` has no {}"),
        ({**GOOD, "bind_dn": "cn=x"}, "go together"),
        ({**GOOD, "bind_password": "x"}, "go together"),
    ],
)
def test_what_is_refused(members: Any, message: str) -> None:
    with pytest.raises(DirectoryRefused, match=message):
        settings_of(members)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    path.write_text("{")
    with pytest.raises(DirectoryRefused, match="cannot be read"):
        read_settings(path)
    with pytest.raises(DirectoryRefused, match="cannot be read"):
        read_settings(tmp_path / "nothing.json")


@pytest.mark.parametrize("url", ["ldap://directory.example"])
def test_clear_text_has_to_be_asked_for(url: str) -> None:
    assert settings_of({**GOOD, "url": url, "plain": True}).plain
    assert settings_of({**GOOD, "url": url, "starttls": True}).starttls
