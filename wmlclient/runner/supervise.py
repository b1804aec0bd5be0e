"""Keeps one child process alive exactly as long as somebody holds the other end of its own stdin.

``python -S -E supervise.py --grace 10 -- program arg ...`` starts the program in a session of its own, prints one
line ``{"pid": N}``, and ends it (TERM, after the grace KILL, to the whole process group) as soon as stdin is at its
end: also when the parent was killed with ``kill -9``. The exit code is the program's.

Run as a file and with the standard library alone, so that it starts in some ten milliseconds and small.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time


def _tell(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _die_with_parent() -> None:
    # Linux: even a supervisor that is itself killed with -9 takes its child along.
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], name: str) -> None:
    try:
        if os.name == "posix":
            os.killpg(child.pid, getattr(signal, name))
        elif name == "SIGKILL":
            child.kill()
        else:
            child.terminate()
    except (ProcessLookupError, PermissionError, OSError):
        pass


def main(argv: list[str]) -> int:
    grace = float(argv[argv.index("--grace") + 1])
    command = argv[argv.index("--") + 1 :]
    stop = threading.Event()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    # Ctrl-C in a terminal reaches the whole foreground group: who ends the child is for the parent to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=os.name == "posix",
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    except OSError as error:
        _tell({"error": str(error)})
        return 127
    _tell({"pid": child.pid})

    def watch_stdin() -> None:
        while True:
            try:
                if not os.read(0, 4096):
                    break
            except InterruptedError:
                continue
            except OSError:
                break
        stop.set()

    def watch_child() -> None:
        child.wait()
        stop.set()

    threading.Thread(target=watch_stdin, daemon=True).start()
    threading.Thread(target=watch_child, daemon=True).start()
    while not stop.wait(3600):
        pass
    if child.poll() is None:
        _signal_group(child, "SIGTERM")
        deadline = time.monotonic() + grace
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if child.poll() is None:
            _signal_group(child, "SIGKILL")
    code = child.wait()
    _signal_group(child, "SIGKILL")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Not sys.exit: the stdin thread may sit in read() and interpreter shutdown would wait for its lock.
    os._exit(code)
