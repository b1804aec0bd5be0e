"""The processes in which sessions run their code.

:mod:`.guard` is between the runner and the kernel: it sets limits, watches them, and ends everything with the runner.
:mod:`.inside` and :mod:`.workspace` run in the kernel itself, :mod:`.serving` and :mod:`.nursery` in the process of a
web service; they are started by their path, so that nothing of the runner has to be importable there.
"""

from __future__ import annotations
