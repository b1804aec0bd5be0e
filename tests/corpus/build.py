"""Makes the corpus: for each Spark version an environment of its own, and in it ``make.py``.

    python tests/corpus/build.py [VERSION ...]

Archives are written beside this file, ``spark-3.4.tar.gz`` and so on. Environments are kept in the user's cache
folder. It needs a JDK 17 and a Python that all versions run on, 3.10 or 3.11.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wmlclient" / "corpus"
VERSIONS = {"3.4": "3.4.4", "3.5": "3.5.9", "4.0": "4.0.5", "4.1": "4.1.4", "4.2": "4.2.0"}
# Spark 3 uses names that numpy 2 has dropped.
OLD, NEW = ("numpy<2",), ("numpy",)


def main(wanted: list[str]) -> None:
    for name in wanted or VERSIONS:
        python = environment(name)
        target = HERE / f"spark-{name}.tar.gz"
        subprocess.run([python, HERE / "make.py", target], check=True)
        print(f"{target.name}: {target.stat().st_size:,} bytes")  # noqa: T201 - a program


def environment(name: str) -> Path:
    """The Python of an environment with this Spark, made where it is missing."""
    folder = CACHE / VERSIONS[name]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = [f"pyspark=={VERSIONS[name]}", *(OLD if name.startswith("3.") else NEW)]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "ready").touch()
    return python


if __name__ == "__main__":
    main(sys.argv[1:])
