"""What was measured beside its peer and its limit, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen


@frozen
class Figure:
    """One line of the report.

    Attributes:
        what: What was measured.
        ours: Our figure, in ``unit``.
        unit: Of both figures.
        peer: The peer's figure, if there is one.
        peer_name: Who that is.
        limit: The goal, in words.
        met: Whether it is met; None where there is no goal.
    """

    what: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    limit: str = ""
    met: bool | None = None

    def line(self) -> str:
        ratio = f"{self.ours / self.peer:10.3g} x" if self.peer else " " * 12
        peer = f"{shown(self.peer):>12} {self.peer_name:<22}" if self.peer is not None else " " * 35
        verdict = {None: "", True: "pass", False: "MISS"}[self.met]
        return f"  {self.what:<44} {shown(self.ours):>12} {self.unit:<7}{peer} {ratio}   {self.limit:<26} {verdict}"


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def report(title: str, figures: Iterable[Figure], notes: Sequence[str] = ()) -> list[Figure]:
    """Prints the figures as they are measured, and returns them."""
    print(f"\n{title}")
    print(f"  {'':<44} {'ours':>12} {'':<7}{'peer':>12} {'':<22}  {'ours/peer':>10}     {'goal':<26}")
    shown = []
    for figure in figures:
        print(figure.line(), flush=True)
        shown.append(figure)
    for note in notes:
        print(f"  {note}", flush=True)
    return shown
