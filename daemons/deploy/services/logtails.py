"""The newest bytes of logs that are read as they grow: many readers of one log cost one look at the database."""

from typing import Final

_MOST_BYTES: Final = 512 * 1024


class Tails:
    """Committed bytes by job, the last half MiB of each."""

    def __init__(self) -> None:
        self._tails: dict[str, tuple[int, bytes]] = {}

    def add(self, job_id: str, start: int, data: bytes) -> None:
        """The log has these bytes from `start`."""
        first, held = self._tails.get(job_id, (start, b""))
        end = first + len(held)
        if start <= end < start + len(data):
            held += data[end - start :]
        elif start > end:
            first, held = start, data
        cut = max(0, len(held) - _MOST_BYTES)
        self._tails[job_id] = (first + cut, held[cut:])

    def read(self, job_id: str, offset: int) -> bytes:
        """What is known from `offset`; empty when the database must be asked."""
        first, held = self._tails.get(job_id, (0, b""))
        return held[offset - first :] if first <= offset < first + len(held) else b""

    def end(self, job_id: str) -> int | None:
        """Up to which offset the log is known here."""
        first, held = self._tails.get(job_id, (0, b""))
        return first + len(held) if held else None

    def drop(self, job_id: str) -> None:
        """Nobody reads it any more."""
        self._tails.pop(job_id, None)
