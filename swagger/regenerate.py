"""Write the generated clients from their documents, or check that they are up to date.

    python swagger/regenerate.py            write wmlclient/_generated and wmlclient/contract
    python swagger/regenerate.py --check    write nothing; print what differs and exit with 1 if anything does

Needs node >= 18 with npm, and Python >= 3.10. The first run installs the pinned generator into
swagger/generator/node_modules; later runs use no network.
"""

from __future__ import annotations

import argparse
import difflib
import filecmp
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SWAGGER = Path(__file__).resolve().parent
ROOT = SWAGGER.parent
GENERATED = ROOT / "wmlclient" / "_generated"
CONTRACT = ROOT / "wmlclient" / "contract"

DOCUMENTS = ("watson_ml_v3", "ml_server")
"""Every document: NAME.json with its options NAME.yaml becomes the package wmlclient/_generated/NAME."""

GENERATOR = SWAGGER / "generator"
MODULES = GENERATOR / "node_modules"
PLUGIN = MODULES / "@autorest" / "python"
STAMP = MODULES / ".installed"

EXPECTED = (
    "BinarySchema",
    "MissingType",
    "CheckDuplicateSchemas",
    "validate_code_model",
    "Superflous",
    "should not have a media type",
)
"""Warnings that our documents are meant to cause: downloads, values of any type, no Azure house style, files of a
form, a DELETE with a body."""

DIFF_LINES = 40
"""Lines of a file's difference that are printed at most."""


class RegenerateError(Exception):
    """The generator cannot be installed or run; the text says what to do."""


def run(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command quietly and return what it printed.

    Raises:
        RegenerateError: the program is missing or failed; holds its output.
    """
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise RegenerateError(f"{command[0]} was not found: install node >= 18 with npm.") from None
    if done.returncode:
        raise RegenerateError(f"{' '.join(command[:4])} ... exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


def environment(**changes: str) -> dict[str, str]:
    """Our environment without what would steer another Python, and with the changes."""
    # PYTHONUNBUFFERED: the plugin's first line would come before the header of its JSON-RPC answer.
    unwanted = {"PYTHONUNBUFFERED", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {key: value for key, value in os.environ.items() if key not in unwanted} | changes


def installation_key() -> str:
    """What an installation depends on: the pins, the interpreter and the place (a path is written into it)."""
    digest = hashlib.sha256()
    for name in ("package-lock.json", "requirements.txt"):
        digest.update((GENERATOR / name).read_bytes())
    digest.update(f"{sys.base_prefix} {sys.version} {PLUGIN}".encode())
    return digest.hexdigest()


def venv_bin() -> Path:
    return PLUGIN / "venv" / ("Scripts" if os.name == "nt" else "bin")


def install() -> None:
    """Install the pinned generator unless that is done already."""
    key = installation_key()
    if STAMP.is_file() and STAMP.read_text("ascii") == key:
        return
    print("installing the generator ...", file=sys.stderr, flush=True)
    npm = shutil.which("npm")
    if npm is None:
        raise RegenerateError("npm was not found: install node >= 18 with npm.")
    # No install scripts: the plugin's own upgrades pip and installs packages without hashes.
    run(npm, "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", cwd=GENERATOR)
    # The plugin starts the interpreter of this very folder and no other.
    run(sys.executable, "-m", "venv", "--clear", PLUGIN / "venv")
    python = venv_bin() / "python"
    pins = GENERATOR / "requirements.txt"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", pins)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # The plugin's own package; its install script would have put it there with pip install -e.
    (Path(site) / "pygen.pth").write_text(f"{PLUGIN / 'generator'}\n", "utf-8")
    STAMP.write_text(key, "ascii")


def generate(name: str, target: Path) -> None:
    """Write the client of one document into the folder ``target``, which must not exist yet.

    Raises:
        RegenerateError: the generator failed or wrote nothing.
    """
    # A folder of its own: the plugin silently reads options from a python.json beside its output.
    with tempfile.TemporaryDirectory(prefix="wmlclient-generate-") as folder:
        home = Path(folder) / "home"
        output = Path(folder) / "out" / name
        home.mkdir()
        env = environment(
            # Keeps the caches of autorest and black out of it.
            HOME=str(home),
            AUTOREST_HOME=str(home),
            XDG_CACHE_HOME=str(home),
            # A bare name found on PATH: the plugin joins it with its arguments, unquoted.
            AUTOREST_PYTHON_EXE="python",
            PATH=os.pathsep.join([str(venv_bin()), os.environ.get("PATH", os.defpath)]),
            PYTHONDONTWRITEBYTECODE="1",
        )
        log = run(
            "node",
            MODULES / "autorest" / "entrypoints" / "app.js",
            # Paths for all three: for a version autorest would go and fetch it.
            f"--version={MODULES / '@autorest' / 'core'}",
            f"--use={MODULES / '@autorest' / 'modelerfour'}",
            f"--use={PLUGIN}",
            "--python",
            f"--require={SWAGGER / name}.yaml",
            f"--output-folder={output}",
            "--level=warning",
            cwd=Path(folder),
            env=env,
        )
        if not (output / "__init__.py").is_file():
            raise RegenerateError(f"the generator wrote nothing for {name}:\n{log}")
        for line in log.splitlines():
            if line.startswith("warning") and not any(word in line for word in EXPECTED):
                print(f"{name}: {line}", file=sys.stderr)
        shutil.copytree(output, target)


def build(into: Path) -> None:
    """Write every package to ``into/_generated`` and every document to ``into/contract``."""
    (into / "contract").mkdir(parents=True)
    for name in DOCUMENTS:
        print(f"generating {name} ...", file=sys.stderr, flush=True)
        generate(name, into / "_generated" / name)
        shutil.copyfile(SWAGGER / f"{name}.json", into / "contract" / f"{name}.json")


def files(folder: Path) -> set[str]:
    """The files below a folder, relative to it; what Python leaves behind is left out."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def present() -> dict[str, Path]:
    """The files of the work tree that this script owns, by their path below the package."""
    owned = {f"_generated/{file}": GENERATED / file for file in files(GENERATED) if file != "__init__.py"}
    return owned | {f"contract/{path.name}": path for path in CONTRACT.glob("*.json")}


def differences(old: Path, new: Path, label: str) -> Iterator[str]:
    """The head of the unified difference of two text files."""
    before = old.read_text("utf-8", "replace").splitlines()
    after = new.read_text("utf-8", "replace").splitlines()
    lines = list(difflib.unified_diff(before, after, f"committed/{label}", f"generated/{label}", lineterm=""))
    yield from lines[:DIFF_LINES]
    if len(lines) > DIFF_LINES:
        yield f"... {len(lines) - DIFF_LINES} more lines"
    if not lines:
        yield f"{label}: only line ends or bytes that are no text differ"


def drift(fresh: Path) -> list[str]:
    """What differs, byte for byte, between the work tree and what was just written."""
    have = present()
    want = {file: fresh / file for file in files(fresh)}
    report = [f"{file}: missing from the work tree" for file in sorted(want.keys() - have.keys())]
    report += [f"{file}: no longer generated" for file in sorted(have.keys() - want.keys())]
    for file in sorted(want.keys() & have.keys()):
        if not filecmp.cmp(have[file], want[file], shallow=False):
            report += differences(have[file], want[file], file)
    return report


def replace(fresh: Path) -> None:
    """Put what was just written in the place of the generated files; each package is replaced whole."""
    for name in DOCUMENTS:
        shutil.rmtree(GENERATED / name, ignore_errors=True)
    shutil.copytree(fresh, ROOT / "wmlclient", dirs_exist_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the generated clients from their documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if anything differs")
    check: bool = parser.parse_args(arguments).check
    try:
        install()
        with tempfile.TemporaryDirectory(prefix="wmlclient-fresh-") as folder:
            fresh = Path(folder) / "wmlclient"
            build(fresh)
            if not check:
                replace(fresh)
                return 0
            report = drift(fresh)
    except RegenerateError as error:
        print(f"regenerate: {error}", file=sys.stderr)
        return 2
    if report:
        print("\n".join(report))
        print("Out of date. Run: python swagger/regenerate.py", file=sys.stderr)
        return 1
    print("The generated code is up to date.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
