"""The four tiles of page 1: each sums up the gates that answer one question of a reader."""

from collections.abc import Sequence
from dataclasses import dataclass

from dnapredict.audit.verdicts import Gate, Verdict

__all__ = ["Tile", "tiles"]

_TILES = (
    ("Are people reached?", ("G3", "G3b", "G6")),
    ("Are calls shared fairly?", ("G4",)),
    ("Does a risk mean the same?", ("G2",)),
    ("Can we trust the records?", ("G0", "G1", "G7")),
)
_ORDER = (Verdict.FAIL, Verdict.NOT_ENOUGH_DATA, Verdict.REVIEW, Verdict.PASS)


@dataclass(frozen=True)
class Tile:
    """A question, its verdict and the sentence of the gate that decided it."""

    title: str
    verdict: Verdict
    sentence: str


def tiles(gates: Sequence[Gate]) -> tuple[Tile, ...]:
    """The tiles of the gates that were asked; a tile says the worst of its gates."""
    found = []
    for title, codes in _TILES:
        asked = [gate for gate in gates if gate.code in codes]
        if asked:
            worst = min(asked, key=lambda gate: _ORDER.index(gate.verdict))
            found.append(Tile(title, worst.verdict, worst.sentence))
    return tuple(found)
