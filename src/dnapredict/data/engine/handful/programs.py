"""A plan as a list of steps, and the shorter list that is left where columns are known to be empty."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import ibis

from dnapredict.data.engine.handful.steps import Step, Works, repeated
from dnapredict.data.engine.handful.value_columns import Column, Columns

# Requests of one system leave the same columns empty; so many such sets are remembered.
_MOST_SETS: Final = 64
# A list that is hardly shorter is not worth its memory.
_WORTH: Final = 0.8

Empty = frozenset[int]


@dataclass(frozen=True)
class Program:
    """The steps of a plan.

    Attributes
    ----------
    given
        Role, column and place of what is filled in.
    answers
        The places of the columns of `schema`, once all steps are run.
    """

    schema: ibis.Schema
    given: tuple[tuple[str, str, int], ...]
    steps: tuple[Step, ...]
    answers: tuple[int, ...]
    places: int
    _shorter: dict[Empty, tuple[Step, ...] | None] = field(default_factory=dict, compare=False, repr=False)

    def run(self, tables: Mapping[str, Columns]) -> Columns:
        """The answer over tables that are filled in."""
        at: list[Column] = [[]] * self.places
        for role, name, place in self.given:
            at[place] = tables[role].values[name]
        empty = frozenset(place for *_, place in self.given if not any(_is_there(at[place])))
        for function, sources, place, _ in self._steps_where(empty):
            at[place] = function(*[at[source] for source in sources])
        found = (at[place] for place in self.answers)
        return Columns(self.schema, dict(zip(self.schema.names, found, strict=True)))

    def _steps_where(self, empty: Empty) -> tuple[Step, ...]:
        """The steps that are left; shortened only when such a set comes a second time."""
        if empty not in self._shorter:
            if len(self._shorter) >= _MOST_SETS:
                self._shorter.clear()
            self._shorter[empty] = None
            return self.steps
        steps = self._shorter[empty]
        if steps is None:
            shortened = self._shortened(empty)
            is_worth_it = len(shortened) < _WORTH * len(self.steps)
            steps = self._shorter[empty] = shortened if is_worth_it else self.steps
        return steps

    def _shortened(self, empty: Empty) -> tuple[Step, ...]:
        """Without steps whose answer is known beforehand, and those that nothing needs any more."""
        known: dict[int, Any] = dict.fromkeys(empty)
        beside: dict[int, int] = {place: place for place in empty}
        steps = []
        for step in self.steps:
            if _is_known(step, known):
                known[step.place] = _answer(step, known)
                beside[step.place] = beside.get(step.sources[0], step.sources[0])
                steps.append(Step(repeated(known[step.place]), (beside[step.place],), step.place, step.works))
            else:
                steps.append(step)
        return tuple(_needed(steps, self.answers))


def _is_there(column: Column) -> Iterable[bool]:
    return (value is not None for value in column)


def _is_known(step: Step, known: Mapping[int, Any]) -> bool:
    if step.works is Works.CONSTANT:
        return True
    if step.works is Works.STRICTLY and any(known.get(source, True) is None for source in step.sources):
        return True
    return step.works in {Works.STRICTLY, Works.BY_ROW} and all(source in known for source in step.sources)


def _answer(step: Step, known: Mapping[int, Any]) -> Any:
    """What stands in every row of a step's answer."""
    if not all(source in known for source in step.sources):
        return step.function([None])[0] if step.works is Works.CONSTANT else None
    return step.function(*([known[source]] for source in step.sources))[0]


def _needed(steps: Iterable[Step], answers: Iterable[int]) -> list[Step]:
    needed, kept = set(answers), []
    for step in reversed(list(steps)):
        if step.place in needed:
            needed.update(step.sources)
            kept.append(step)
    return kept[::-1]
