"""Wheel and sdist, built as a release would build them, then opened."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

from wmlclient._version import __version__

JUNK = (".git", ".tox", ".venv", "__pycache__", "node_modules", ".reports", "_build", ".pytest_cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built *from the sdist*: what is missing there shows."""
    root = Path(__file__).resolve().parents[2]
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist_names(built: Path) -> set[str]:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        return {
            str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in archive.getmembers() if m.isfile()
        }


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(root: Path, *folders: str) -> set[str]:
    """The files of some folders as git knows them: what a release must hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return {name for name in listed.stdout.split("\0") if name and (root / name).exists()}


def junk(names: Iterable[str]) -> list[str]:
    return [
        name for name in names if set(PurePosixPath(name).parts) & set(JUNK) or name.endswith((".pyc", "~"))
    ]


def test_names_say_the_version(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        f"wmlclient-{__version__}-py3-none-any.whl",
        f"wmlclient-{__version__}.tar.gz",
    ]


def test_the_wheel_holds_the_whole_package(root: Path, wheel_names: set[str]) -> None:
    missing = tracked(root, "wmlclient") - wheel_names

    assert missing == set()
    assert "wmlclient/py.typed" in wheel_names
    for contract in ("watson_ml_v3", "ml_server"):
        assert f"wmlclient/contract/{contract}.json" in wheel_names
        assert any(name.startswith(f"wmlclient/_generated/{contract}/models/") for name in wheel_names)


def test_the_wheel_holds_the_package_alone(wheel_names: set[str]) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel_names}

    assert tops == {"wmlclient", f"wmlclient-{__version__}.dist-info"}
    assert junk(wheel_names) == []


def test_the_sdist_carries_tests_contract_and_docs(root: Path, sdist_names: set[str]) -> None:
    wanted = tracked(
        root, "wmlclient", "tests", "swagger", "docs", "examples", "benchmarks", "requirements", "*.py"
    )

    assert wanted - sdist_names == set()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tox.ini", ".ci/run"} <= sdist_names
    assert junk(sdist_names) == []


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"wmlclient-{__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{info}/entry_points.txt").decode())
    head = metadata.split("\n\n", 1)[0].splitlines()

    assert f"Version: {__version__}" in head
    assert "Requires-Python: >=3.10" in head
    assert any(line.startswith("License") and "Apache-2.0" in line for line in head)
    assert dict(entry_points["console_scripts"]) == {"wmlclient": "wmlclient.cli:main"}
    assert dict(entry_points["pytest11"]) == {"wmlclient": "wmlclient.pytest_plugin"}
    core = {
        line.split()[1].split(">")[0].lower()
        for line in head
        if line.startswith("Requires-Dist") and "extra" not in line
    }
    assert not core & {"pyspark", "numpy", "pandas", "kafka-python", "pyarrow", "connexion"}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked by pip into a folder of its own, so that no test reads the checkout by accident."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-index", "--target", str(target), str(wheel)], check=True, timeout=200)
    return target


def run(installed: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_installed_wheel_imports_and_knows_its_names(installed: Path) -> None:
    code = (
        "import wmlclient, wmlclient._generated.watson_ml_v3 as g;"
        "print(wmlclient.__file__); print(g.WatsonMlV3.__name__);"
        "assert all(getattr(wmlclient, name) is not None for name in wmlclient.__all__)"
    )

    done = run(installed, "-W", "error", "-c", code)

    assert done.returncode == 0, done.stderr
    where, name = done.stdout.split()
    assert Path(where).is_relative_to(installed)
    assert name == "WatsonMlV3"


def test_the_installed_command_answers(installed: Path) -> None:
    done = run(installed, "-c", "from wmlclient.cli import main; main(['--version'])")

    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_a_missing_extra_is_named(installed: Path, tmp_path: Path) -> None:
    """Without the extra, the message says which one brings it."""
    names = ("jsonschema", "sqlalchemy", "starlette", "uvicorn")
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n")
    path = os.pathsep.join([str(tmp_path), str(installed)])

    done = run(installed, "-c", "import wmlclient; wmlclient.Client.local()", PYTHONPATH=path)

    assert done.returncode != 0
    assert "wmlclient[local]" in done.stderr
