"""The lines of a list that are asked for, in the order asked for, and what can be filtered by."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.call_actions import TakenAction
from dnapredict.service.pages.list_query import ListQuery
from dnapredict.service.pages.rendering import day_words, local_day
from dnapredict.worklist.files.list_store import KeptList

LINES_A_PAGE: Final = 50
_NUMBER: Final = "line"
_DAY: Final = "day"

Taken = Callable[[Iterable[str]], Mapping[str, TakenAction]]


@dataclass(frozen=True)
class Part:
    """What a page shows of a list.

    Attributes
    ----------
    asked
        What was asked for, as far as the list has it.
    lines
        One page of the lines, each with `line` (its place in the list, from 1) and `day`.
    total
        How many lines there are on all pages.
    clinics, days, bands
        What there is on the whole list to filter by: value and words.
    taken
        What was recorded last, by appointment, for this part of the list and for all calls to make.
    calls
        The appointments to call.
    """

    asked: ListQuery
    lines: Sequence[Mapping[str, Any]]
    total: int
    pages: int
    clinics: Mapping[str, str]
    days: Mapping[str, str]
    bands: Mapping[str, str]
    taken: Mapping[str, TakenAction]
    calls: Sequence[str]


def part_of(found: KeptList, asked: ListQuery, *, taken_of: Taken) -> Part:
    """The part `asked` of a list; a page that is not there is answered with the nearest there is.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    whole = _numbered(found.lines)
    calls = _known(whole.filter(pc.fill_null(whole["selected"], False)))
    rows = _shown(whole, asked.show)
    taken = taken_of(dict.fromkeys([*calls, *(_known(rows) if asked.show == "all" else ())]))
    clinics, days, bands = _clinics(whole), _days(whole), _bands(whole)
    asked = _sound(asked, clinic=clinics, day=days, band=bands)
    rows = _sorted(_filtered(rows, asked, taken), asked.sort)
    pages = max(1, -(-rows.num_rows // LINES_A_PAGE))
    page = min(max(asked.page, 1), pages)
    return Part(
        asked=asked.at(page),
        lines=rows.slice((page - 1) * LINES_A_PAGE, LINES_A_PAGE).to_pylist(),
        total=rows.num_rows,
        pages=pages,
        clinics=clinics,
        days=days,
        bands=bands,
        taken=taken,
        calls=calls,
    )


def _numbered(lines: pa.Table) -> pa.Table:
    numbers = pa.array(range(1, lines.num_rows + 1), pa.int64())
    moments = lines["starts_at"]
    day_of = {moment: local_day(moment).isoformat() for moment in pc.unique(moments).to_pylist() if moment}
    days = pa.array([day_of.get(moment) for moment in moments.to_pylist()], pa.string())
    return lines.append_column(_NUMBER, numbers).append_column(_DAY, days)


def _shown(lines: pa.Table, show: str) -> pa.Table:
    if show == "not-scored":
        return lines.filter(pc.is_valid(lines["error"]))
    if show == "all":
        return lines.filter(pc.is_null(lines["error"]))
    return lines.filter(pc.fill_null(lines["selected"], False))


def _filtered(lines: pa.Table, asked: ListQuery, taken: Mapping[str, TakenAction]) -> pa.Table:
    for column, wanted in (("clinic_code", asked.clinic), (_DAY, asked.day), ("band", asked.band)):
        if wanted:
            lines = lines.filter(pc.equal(lines[column], wanted))
    if not asked.progress:
        return lines
    done = pa.array([_is_done(taken.get(each)) for each in lines["appointment_id"].to_pylist()], pa.bool_())
    return lines.filter(done if asked.progress == "done" else pc.invert(done))


def _is_done(taken: TakenAction | None) -> bool:
    """Whether nothing is left to do: where nobody was reached, somebody has to try again."""
    return taken is not None and taken.outcome.reached


def _sorted(lines: pa.Table, sort: str) -> pa.Table:
    column = {"time": "starts_at", "clinic": "clinic_code"}.get(sort)
    if column is None:
        return lines
    order = pc.sort_indices(lines, [(column, "ascending"), (_NUMBER, "ascending")])
    return lines.take(order)


def _sound(asked: ListQuery, **there: Mapping[str, str]) -> ListQuery:
    """What was asked, without filters for what the list does not have."""
    return asked.without({name for name, known in there.items() if getattr(asked, name) not in known})


def _known(lines: pa.Table) -> list[str]:
    return [each for each in lines["appointment_id"].to_pylist() if each is not None]


def _clinics(lines: pa.Table) -> dict[str, str]:
    codes = sorted(code for code in pc.unique(lines["clinic_code"]).to_pylist() if code)
    return dict(zip(codes, codes, strict=True))


def _days(lines: pa.Table) -> dict[str, str]:
    days = sorted(day for day in pc.unique(lines[_DAY]).to_pylist() if day)
    return {day: day_words(datetime.date.fromisoformat(day)) for day in days}


def _bands(lines: pa.Table) -> dict[str, str]:
    """The bands, the one with the highest risk first: that is the order in which the list has them."""
    scored = lines.filter(pc.is_valid(lines["band"]))
    highest = scored.group_by("band").aggregate([("probability", "max")]).sort_by([("probability_max", "descending")])
    names = highest["band"].to_pylist()
    return dict(zip(names, names, strict=True))
