"""The program of a Python session's process: a Jupyter kernel with :mod:`workspace` beside the user's code.

Started by its path: ``python inside.py CONNECTION_FILE``.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

#: The name of :mod:`workspace` in the kernel.
NAME = "_wmlclient_workspace"


def _beside(name: str) -> Any:
    """A module that stands beside this one."""
    spec = importlib.util.spec_from_file_location(NAME, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(connection_file: str) -> None:
    """Be a kernel until the end."""
    sys.modules[NAME] = _beside("workspace")
    _beside("older").install()
    # The user's modules are looked for where the user's files are, and ours are not in the way.
    sys.path[0] = ""

    from ipykernel.kernelapp import IPKernelApp

    # Said by IPython when code raises SystemExit; there is no prompt that one could leave.
    warnings.filterwarnings("ignore", message="To exit: use")
    sys.argv = [sys.argv[0]]
    IPKernelApp.launch_instance(
        ["-f", connection_file, "--HistoryManager.enabled=False", "--InteractiveShell.cache_size=0"]
    )


if __name__ == "__main__":
    main(sys.argv[1])
