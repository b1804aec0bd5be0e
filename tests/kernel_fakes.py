"""Kernels that are no processes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from attrs import define, field

from wmlclient.runner.engine.kernels import (
    Execution,
    KernelEnded,
    KernelError,
    NoSuchObject,
    Runtime,
    RuntimeMissing,
)


@define(eq=False)
class FakeKernel:
    """Keeps variables; ``code`` is a command: ``wait``, ``die``, ``refuse``, ``write NAME``."""

    folder: Path
    objects: dict[str, Any] = field(factory=dict)
    ended: str | None = None
    let_go: threading.Event = field(factory=threading.Event)
    closed: bool = False

    def execute(self, code: str, inputs: list[tuple[str, Any]], outputs: list[str]) -> Execution:
        if self.ended:
            raise KernelEnded(self.ended)
        self.objects.update(inputs)
        command, _, word = code.partition(" ")
        if command == "wait":
            assert self.let_go.wait(20)
        elif command == "die":
            self.ended = word
            raise KernelEnded(word)
        elif command == "refuse":
            raise KernelError(word)
        elif command == "write":
            (self.folder / "work" / word).write_text(code)
        missing = [name for name in outputs if name not in self.objects]
        if missing:
            return Execution(f"NameError: name {missing[0]!r} is not defined", [], "printed")
        return Execution(None, [(name, self.objects[name]) for name in outputs], "printed")

    def console(self) -> str:
        return "so far"

    def interrupt(self) -> None:
        self.let_go.set()

    def names(self) -> list[str]:
        return sorted(self.objects)

    def put(self, name: str, source: Path) -> None:
        self.objects[name] = source.read_text("latin-1")

    def get(self, name: str, target: Path) -> None:
        if name not in self.objects:
            raise NoSuchObject(name)
        target.write_text(str(self.objects[name]), "latin-1", "replace")

    def delete(self, name: str) -> None:
        if name not in self.objects:
            raise NoSuchObject(name)
        del self.objects[name]

    def save(self, target: Path) -> None:
        target.write_text(json.dumps(self.objects))

    def load(self, source: Path) -> None:
        self.objects.update(json.loads(source.read_text()))

    def end(self) -> None:
        self.closed = True
        self.ended = self.ended or "it was closed"
        self.let_go.set()


@define
class FakeKernels:
    """Starts them; there is no R."""

    started: list[FakeKernel] = field(factory=list)
    fail: bool = False
    closed: bool = False

    def check(self, runtime: Runtime) -> None:
        if runtime != "Python":
            raise RuntimeMissing("no R here")

    def start(self, runtime: Runtime, folder: Path) -> FakeKernel:
        if self.fail:
            raise KernelError("it does not start")
        (folder / "work").mkdir()
        kernel = FakeKernel(folder)
        self.started.append(kernel)
        return kernel

    def close(self) -> None:
        self.closed = True
        for kernel in self.started:
            kernel.end()
