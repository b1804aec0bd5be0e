"""The part of swagger/regenerate.py that needs no generator: comparing and replacing."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def script(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module whose project is a small folder, with a generator that writes two files."""
    spec = importlib.util.spec_from_file_location("regenerate", root / "swagger" / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    project = tmp_path / "a project"
    (project / "swagger").mkdir(parents=True)
    (project / "swagger" / "doc.json").write_text("{}\n")
    for folder in ("_generated", "contract"):
        (project / "wmlclient" / folder).mkdir(parents=True)
        (project / "wmlclient" / folder / "__init__.py").write_text("# by hand\n")

    def generate(name: str, target: Path) -> None:
        (target / "models").mkdir(parents=True)
        (target / "__init__.py").write_text(f"name = {name!r}\n")
        (target / "models" / "__init__.py").write_text("a = 1\nb = 2\n")

    monkeypatch.setattr(module, "ROOT", project)
    monkeypatch.setattr(module, "SWAGGER", project / "swagger")
    monkeypatch.setattr(module, "GENERATED", project / "wmlclient" / "_generated")
    monkeypatch.setattr(module, "CONTRACT", project / "wmlclient" / "contract")
    monkeypatch.setattr(module, "DOCUMENTS", ("doc",))
    monkeypatch.setattr(module, "install", lambda: None)
    monkeypatch.setattr(module, "generate", generate)
    return module


def test_writes_packages_and_documents(script: ModuleType) -> None:
    assert script.main([]) == 0
    assert (script.GENERATED / "doc" / "models" / "__init__.py").read_text() == "a = 1\nb = 2\n"
    assert (script.CONTRACT / "doc.json").read_text() == "{}\n"
    assert (script.GENERATED / "__init__.py").read_text() == "# by hand\n"
    assert (script.CONTRACT / "__init__.py").read_text() == "# by hand\n"
    assert script.main(["--check"]) == 0


def test_replaces_a_package_whole(script: ModuleType) -> None:
    stale = script.GENERATED / "doc" / "gone.py"
    stale.parent.mkdir()
    stale.write_text("old\n")
    assert script.main([]) == 0
    assert not stale.exists()


def edit(script: ModuleType) -> None:
    (script.GENERATED / "doc" / "models" / "__init__.py").write_text("a = 1\nb = 3\n")


def remove(script: ModuleType) -> None:
    (script.GENERATED / "doc" / "models" / "__init__.py").unlink()


def add(script: ModuleType) -> None:
    (script.GENERATED / "doc" / "extra.py").write_text("")


def line_ends(script: ModuleType) -> None:
    (script.GENERATED / "doc" / "models" / "__init__.py").write_bytes(b"a = 1\r\nb = 2\r\n")


def document(script: ModuleType) -> None:
    (script.SWAGGER / "doc.json").write_text('{"swagger": "2.0"}\n')


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edit, "-b = 3\n+b = 2"),
        (remove, "_generated/doc/models/__init__.py: missing from the work tree"),
        (add, "_generated/doc/extra.py: no longer generated"),
        (line_ends, "_generated/doc/models/__init__.py: only line ends"),
        (document, '+{"swagger": "2.0"}'),
    ],
)
def test_check_names_what_differs(
    script: ModuleType,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[ModuleType], None],
    expected: str,
) -> None:
    assert script.main([]) == 0
    change(script)
    before = {path: path.read_bytes() for path in script.ROOT.rglob("*") if path.is_file()}
    assert script.main(["--check"]) == 1
    assert expected in capsys.readouterr().out
    assert {path: path.read_bytes() for path in script.ROOT.rglob("*") if path.is_file()} == before


def test_check_shortens_a_long_difference(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 0
    (script.SWAGGER / "doc.json").write_text(json.dumps(list(range(500)), indent=1) + "\n")
    assert script.main(["--check"]) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) == script.DIFF_LINES + 1
    assert "more lines" in out


def test_what_python_leaves_behind_is_no_drift(script: ModuleType) -> None:
    assert script.main([]) == 0
    cache = script.GENERATED / "doc" / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"x")
    assert script.main(["--check"]) == 0


def test_failure_of_the_generator_changes_nothing(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([]) == 0
    before = (script.GENERATED / "doc" / "__init__.py").read_text()

    def broken(name: str, target: Path) -> None:
        raise script.RegenerateError("it broke")

    monkeypatch.setattr(script, "generate", broken)
    assert script.main([]) == 2
    assert "it broke" in capsys.readouterr().err
    assert (script.GENERATED / "doc" / "__init__.py").read_text() == before


def test_run_reports_a_missing_program(script: ModuleType) -> None:
    with pytest.raises(script.RegenerateError, match="no-such-program was not found: install node"):
        script.run("no-such-program")


def test_run_reports_what_a_program_printed(script: ModuleType) -> None:
    with pytest.raises(script.RegenerateError, match=r"(?s)exited with 3:.*the reason"):
        script.run(sys.executable, "-c", "print('the reason'); raise SystemExit(3)")


def test_generator_is_pinned_without_a_host(root: Path) -> None:
    folder = root / "swagger" / "generator"
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    for path, package in packages.items():
        assert "integrity" in package, path
        assert "resolved" not in package, path
    pins = [
        line
        for line in (folder / "requirements.txt").read_text().splitlines()
        if line and line[0] not in " #"
    ]
    assert pins
    assert all("==" in line for line in pins), "hashes alone follow a pin: no index, no address"
    asked = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked
