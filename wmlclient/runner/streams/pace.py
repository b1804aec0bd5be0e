"""How many records a worker takes at once."""

from __future__ import annotations

from attrs import define

from wmlclient.runner.streams.model import RecordModel

#: Pieces of a batch, at most: bounds a transaction, and what is read again after an accident.
_MOST_PIECES = 5
#: A full batch that took so many seconds, or more, is large enough; one of more than twice as many is too large: the
#: broker gives up a transaction that stays open, and it is open from the first piece on.
_ENOUGH_SECONDS = 2.0


@define
class Pace:
    """A batch is some pieces: while one is scored, the last one is on its way to the broker.

    After trouble it is one piece, which is scored before anything is sent.
    """

    _pieces: int = 1

    def most(self, model: RecordModel) -> int:
        """How many records to take."""
        return model.most * self._pieces if model.fast else model.most

    def done(self, model: RecordModel, count: int, seconds: float) -> None:
        """A batch has been sent.

        Args:
            model: What scored it.
            count: Its records.
            seconds: What it took.
        """
        if seconds > 2 * _ENOUGH_SECONDS:
            self._pieces = 1
        elif seconds < _ENOUGH_SECONDS and count >= self.most(model):
            self._pieces = min(self._pieces + 1, _MOST_PIECES)

    def trouble(self) -> None:
        """A batch was not sent."""
        self._pieces = 1
