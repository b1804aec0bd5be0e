"""The boundaries of docs/design.md, read from the imports themselves."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "wmlclient"
GENERATED = PACKAGE / "_generated"
MAX_LINES = 400

HTTP = ("starlette", "connexion", "requests", "uvicorn", "httpx", "urllib3", "http.client", "azure", "msrest")
KAFKA = ("kafka", "confluent_kafka")
SPARK = ("pyspark", "py4j")
JUPYTER = ("jupyter_client", "ipykernel", "IPython", "zmq", "dill")
# Where the one arrow from the facade's half to the runner's may stand, and only inside a function.
MAY_START_A_RUNNER = {"wmlclient.client", "wmlclient.pytest_plugin"}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every handwritten module of the package as (dotted name, path)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if GENERATED not in path.parents:
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def imports(name: str, path: Path, *, everywhere: bool = True) -> tuple[tuple[str, int], ...]:
    """What a module imports, as (absolute dotted name, line).

    Args:
        everywhere: also inside functions; else only what runs when the module is imported. What stands
            under ``if TYPE_CHECKING`` never runs and is left out of both.
    """

    def walk(node: ast.AST, *, inside: bool) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for other in child.orelse:
                    yield from walk(other, inside=inside)
                continue
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if not inside or everywhere:
                if isinstance(child, ast.Import):
                    for alias in child.names:
                        yield alias.name, child.lineno
                elif isinstance(child, ast.ImportFrom):
                    base = child.module or ""
                    if child.level:
                        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                        package = package[: len(package) - (child.level - 1)]
                        base = ".".join([*package, base] if base else package)
                    for alias in child.names:
                        yield f"{base}.{alias.name}", child.lineno
            yield from walk(child, inside=inside or function)

    return tuple(walk(ast.parse(path.read_text(encoding="utf-8")), inside=False))


def under(name: str, *packages: str) -> bool:
    """Say whether a dotted name is one of the packages or stands inside of one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def offences(part: str, *forbidden: str, everywhere: bool = True) -> list[str]:
    """List the imports of ``forbidden`` packages in the modules under ``part``."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in modules()
        if under(name, part)
        for target, line in imports(name, path, everywhere=everywhere)
        if under(target, *forbidden)
    ]


def is_facade(name: str) -> bool:
    shared = (
        "wmlclient.contract",
        "wmlclient.wire",
        "wmlclient.bill",
        "wmlclient.display",
        "wmlclient.envelope",
        "wmlclient.exchange",
        "wmlclient.hadoop",
        "wmlclient.kafka_admin",
        "wmlclient.kafka_login",
        "wmlclient.kafka_tokens",
        "wmlclient.knock",
        "wmlclient.plain_http",
        "wmlclient.scram",
        "wmlclient._generated",
        "wmlclient._version",
    )
    return not under(name, "wmlclient.runner", "wmlclient.scoring", *shared)


def facade_packages() -> tuple[str, ...]:
    """All that the facade's half consists of, but for the package's own name."""
    return tuple(name for name, _ in modules() if is_facade(name) and name != "wmlclient")


def test_the_test_sees_the_package() -> None:
    """A test that walks over nothing would hold nothing."""
    names = {name for name, _ in modules()}

    assert {"wmlclient", "wmlclient.client", "wmlclient.scoring", "wmlclient.runner.engine"} <= names


def test_the_reader_of_imports_reads_relative_lazy_and_type_checking_imports(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text(
        "from . import a\nfrom ..b import c\nimport d.e\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never\n"
        "def f():\n    from .lazy import g\n"
    )

    found = {target for target, _ in imports("p.q.m", module)}
    eager = {target for target, _ in imports("p.q.m", module, everywhere=False)}

    assert {"p.q.a", "p.b.c", "d.e", "p.q.lazy.g"} <= found
    assert "never" not in found
    assert found - eager == {"p.q.lazy.g"}


def test_the_runner_never_imports_the_facade() -> None:
    assert offences("wmlclient.runner", *facade_packages()) == []


def test_the_runner_reads_the_contract_and_not_the_generated_client() -> None:
    assert offences("wmlclient.runner", "wmlclient._generated") == []


def test_the_facade_reaches_the_runner_in_one_lazy_place_each() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in modules()
        if is_facade(name)
        for target, line in imports(name, path)
        if under(target, "wmlclient.runner")
        and not (name in MAY_START_A_RUNNER or under(name, "wmlclient.cli"))
    ]
    eager = [
        f"{path.relative_to(ROOT)}:{line} imports {target} when it is imported"
        for name, path in modules()
        if is_facade(name)
        for target, line in imports(name, path, everywhere=False)
        if under(target, "wmlclient.runner")
    ]

    assert wrong + eager == []


def test_scoring_knows_rows_and_nothing_else() -> None:
    assert offences("wmlclient.scoring", *HTTP, *KAFKA, *SPARK, "wmlclient.runner", *facade_packages()) == []


def test_the_engine_knows_no_http_and_starts_no_jvm() -> None:
    siblings = [
        f"wmlclient.runner.{part}"
        for part in (
            "app",
            "batch",
            "handlers",
            "server",
            "scoring_route",
            "auth",
            "launch",
            "spark",
            "streams",
            "broker",
            "topics",
            "dialects",
            "kernels",
            "logins",
            "users",
        )
    ]

    assert offences("wmlclient.runner.engine", *HTTP, *KAFKA, *SPARK, *JUPYTER, *siblings) == []


@pytest.mark.parametrize(
    "program", ["guard", "sharing", "world", "inside", "workspace", "serving", "nursery", "older"]
)
def test_what_runs_beside_a_sessions_code_stands_alone(program: str) -> None:
    """These are started by their path, where nothing of this package can be imported."""
    assert offences(f"wmlclient.runner.kernels.{program}", "wmlclient", "attrs") == []


@pytest.mark.parametrize("program", ["guard", "sharing", "world"])
def test_the_guard_needs_the_standard_library_alone(program: str) -> None:
    path = PACKAGE / "runner" / "kernels" / f"{program}.py"
    named = {target.partition(".")[0] for target, _ in imports(f"wmlclient.runner.kernels.{program}", path)}
    assert named <= set(sys.stdlib_module_names)


def test_jupyter_is_known_to_the_kernels_alone() -> None:
    found = offences("wmlclient", *JUPYTER)
    assert found
    assert [each for each in found if not each.startswith("wmlclient/runner/kernels/")] == []


def test_the_generated_client_is_reached_from_the_facade_alone() -> None:
    for part in ("wmlclient.scoring", "wmlclient.runner", "wmlclient.wire"):
        assert offences(part, "wmlclient._generated") == []


def test_wire_is_the_bottom() -> None:
    """Both halves share it, so it may know neither."""
    for part in ("wmlclient.wire", "wmlclient.exchange", "wmlclient.envelope"):
        assert offences(part, "wmlclient.runner", "wmlclient.scoring", *facade_packages()) == []


@pytest.mark.parametrize("module", ["wmlclient", "wmlclient.pytest_plugin", "wmlclient.cli"])
def test_imports_are_light(module: str) -> None:
    heavy = (
        "pyspark",
        "pandas",
        "numpy",
        "kafka",
        "pyarrow",
        "msrest",
        "wmlclient.runner",
        "wmlclient.scoring",
    )
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_scorer_is_light_until_a_model_is_loaded() -> None:
    code = (
        "import sys, wmlclient.scoring as s; s.check_table, s.InputError; "
        "print([name for name in ('numpy', 'pyarrow', 'pandas', 'sqlglot') if name in sys.modules]); "
        "s.load; print('numpy' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[]", "True"]


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("wmlclient", "tests", "swagger", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if GENERATED not in path.parents and "node_modules" not in path.parts
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }

    assert long == {}


def test_library_code_does_not_print() -> None:
    """The CLI speaks through click.echo, the runner's control pipe through its own stream."""
    prints = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for _, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]

    assert prints == []


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: the sdist has no list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_package_registry_is_named_by_its_host() -> None:
    """Lock files with hosts break behind a mirror; pip, npm and Ivy know their registry themselves."""
    host = re.compile(
        rb"https?://[a-z0-9.-]*(py" + rb"pi|npm" + rb"js|mav" + rb"en|pythonhosted)[a-z0-9.-]*", re.I
    )
    named = [
        f"{path.relative_to(ROOT)}: {found.group(0).decode()}"
        for path in tracked_files()
        if (found := host.search(path.read_bytes()))
    ]

    assert named == []


def test_no_two_test_files_have_one_name() -> None:
    """The folders of tests are no packages: pytest takes two files of one name for the same module."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_no_test_is_left_out_by_tox() -> None:
    """Tox runs some folders by name, and the marked tests of all: a file that is neither would never run."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    commands = " ".join(tox[section].get("commands", "") for section in tox.sections())
    by_name = [ROOT / "tests" / name for name in re.findall(r"tests/(\w+)", commands)]
    marked = r"^pytestmark = (\[\s*)?pytest\.mark\.(spark|kafka|gen)\b"
    left_out = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if not any(folder in path.parents for folder in by_name)
        and not re.search(marked, path.read_text("utf-8"), re.MULTILINE)
    ]

    assert by_name
    assert left_out == []


def test_tox_has_every_check_and_runs_them_all_by_default() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    wanted = ["lint", "types", "gen-check", "docs", "build", "unit", "contract"]
    wanted += ["fuzz", "parity", "spark", "kafka", "parity-spark35"]

    assert [name.strip() for name in tox["tox"]["env_list"].split(",")] == wanted
    assert all(tox[f"testenv:{name}"].get("commands") for name in wanted)
