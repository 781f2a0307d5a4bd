"""Prints measurements as one table and one JSON line, each with its limit and whether it held."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, what it is compared with in the same run, and the most that figure / peer may be."""

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float
    most: float

    @property
    def ratio(self) -> float:
        """The figure over its peer."""
        return self.value / self.peer_value if self.peer_value else float(self.value > 0)

    @property
    def held(self) -> bool:
        """Whether the ratio is within the limit."""
        return self.ratio <= self.most


def median(values: Sequence[float]) -> float:
    """The median of a non-empty sequence."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0..1) of the sequence does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, figures: Sequence[Figure]) -> int:
    """Print the figures; exit code 0 if all held, else 1."""
    table = Table(title=title)
    for column in ("figure", "value", "peer or limit", "its value", "ratio", "at most", "held"):
        table.add_column(column, justify="left" if column in ("figure", "peer or limit", "held") else "right")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:.2f} {figure.unit}",
            figure.peer,
            f"{figure.peer_value:.2f} {figure.unit}",
            f"{figure.ratio:.2f}",
            f"{figure.most:.2f}",
            "yes" if figure.held else "NO",
        )
    Console(width=130).print(table)
    rows = [asdict(figure) | {"ratio": round(figure.ratio, 3), "held": figure.held} for figure in figures]
    print(json.dumps({"bench": title, "figures": rows}))
    return 0 if all(figure.held for figure in figures) else 1
