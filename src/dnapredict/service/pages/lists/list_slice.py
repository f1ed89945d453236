"""The lines of a list that a query selects and sorts, and the options of the filters."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.pages.lists.list_query import NOBODY, ListQuery
from dnapredict.service.pages.rendering import day_words, local_day
from dnapredict.worklist.files.kept_list import KeptList

LINES_A_PAGE: Final = 50
_NUMBER: Final = "line"
_DAY: Final = "day"
_COLLEAGUE: Final = "colleague"

LatestActions = Callable[[Iterable[str]], Mapping[str, RecordedAction]]


@dataclass(frozen=True)
class ListSlice:
    """The part of a list that a page shows.

    Attributes
    ----------
    list_query
        The query, without filters for values that the list does not have.
    lines
        One page of the lines, each with `line` (its number in the list, from 1) and `day`.
    total
        How many lines there are on all pages.
    clinics, days, bands
        The options of the filters over the whole list: value and words.
    latest
        The latest action by appointment, for this part of the list and for all calls to make.
    calls
        The appointments to call.
    numbers
        The numbers of the lines on all pages.
    colleagues
        The options of the filter by colleague; empty if no line was handed over.
    """

    list_query: ListQuery
    lines: Sequence[Mapping[str, Any]]
    total: int
    pages: int
    clinics: Mapping[str, str]
    days: Mapping[str, str]
    bands: Mapping[str, str]
    latest: Mapping[str, RecordedAction]
    calls: Sequence[str]
    numbers: Sequence[int] = ()
    colleagues: Mapping[str, str] = field(default_factory=dict)


def slice_list(
    kept: KeptList,
    list_query: ListQuery,
    *,
    latest_of: LatestActions,
    assigned: Mapping[int, str] = MappingProxyType({}),
    lines_a_page: int = LINES_A_PAGE,
) -> ListSlice:
    """The part of a list that `list_query` selects; beyond the last page, the last one.

    `assigned` has the colleague who calls, by line.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    whole = _with_colleagues(_numbered(kept.page_rows, kept.heading.zone), assigned)
    calls = _known(whole.filter(pc.fill_null(whole["selected"], False)))
    rows = _shown(whole, list_query.show)
    latest = dict(latest_of(dict.fromkeys([*calls, *(_known(rows) if list_query.progress else ())])))
    clinics, days, bands = _clinics(whole), _days(whole), _bands(whole)
    colleagues = _colleagues(assigned)
    list_query = _with_known_filters(list_query, clinic=clinics, day=days, band=bands, assigned=colleagues)
    rows = _sorted(_filtered(rows, list_query, latest), list_query.sort)
    pages = max(1, -(-rows.num_rows // lines_a_page))
    page = min(max(list_query.page, 1), pages)
    lines = rows.slice((page - 1) * lines_a_page, lines_a_page)
    latest |= latest_of([each for each in _known(lines) if each not in latest])
    return ListSlice(
        list_query=list_query.at(page),
        lines=lines.to_pylist(),
        total=rows.num_rows,
        pages=pages,
        clinics=clinics,
        days=days,
        bands=bands,
        latest=latest,
        calls=calls,
        numbers=rows[_NUMBER].to_pylist(),
        colleagues=colleagues,
    )


def _numbered(lines: pa.Table, zone: datetime.tzinfo) -> pa.Table:
    numbers = pa.array(np.arange(1, lines.num_rows + 1))
    moments = lines["starts_at"].combine_chunks().dictionary_encode()
    known = [local_day(moment, zone).isoformat() for moment in moments.dictionary.to_pylist()]
    days = pa.array(known, pa.string()).take(moments.indices)
    return lines.append_column(_NUMBER, numbers).append_column(_DAY, days)


def _with_colleagues(lines: pa.Table, assigned: Mapping[int, str]) -> pa.Table:
    if not assigned:
        return lines.append_column(_COLLEAGUE, pa.repeat(NOBODY, lines.num_rows))
    names = [assigned.get(number, NOBODY) for number in lines[_NUMBER].to_pylist()]
    return lines.append_column(_COLLEAGUE, pa.array(names, pa.string()))


def _colleagues(assigned: Mapping[int, str]) -> dict[str, str]:
    names = sorted(set(assigned.values()))
    return {name: name for name in names} | {NOBODY: "Nobody yet"} if names else {}


def _shown(lines: pa.Table, show: str) -> pa.Table:
    if show == "not-scored":
        return lines.filter(pc.is_valid(lines["error"]))
    if show == "all":
        return lines.filter(pc.is_null(lines["error"]))
    return lines.filter(pc.fill_null(lines["selected"], False))


def _filtered(lines: pa.Table, list_query: ListQuery, latest: Mapping[str, RecordedAction]) -> pa.Table:
    wanted_by_column = {
        "clinic_code": list_query.clinic,
        _DAY: list_query.day,
        "band": list_query.band,
        _COLLEAGUE: list_query.assigned,
    }
    for column, wanted in wanted_by_column.items():
        if wanted:
            lines = lines.filter(pc.equal(lines[column], wanted))
    if not list_query.progress:
        return lines
    done = pa.array([_is_done(latest.get(each)) for each in lines["appointment_id"].to_pylist()], pa.bool_())
    return lines.filter(done if list_query.progress == "done" else pc.invert(done))


def _is_done(action: RecordedAction | None) -> bool:
    """Whether the call is done; one that reached nobody has to be repeated."""
    return action is not None and action.outcome.reached


def _sorted(lines: pa.Table, sort: str) -> pa.Table:
    # A corrected row keeps its line and has its rank by risk.
    column = {"time": "starts_at", "clinic": "clinic_code"}.get(sort, "rank")
    by_risk = [("probability", "descending")] if column == "rank" else []
    order = pc.sort_indices(lines, [(column, "ascending"), *by_risk, (_NUMBER, "ascending")])
    return lines.take(order)


def _with_known_filters(list_query: ListQuery, **there: Mapping[str, str]) -> ListQuery:
    """The query without filters for values that the list does not have."""
    return list_query.without({name for name, known in there.items() if getattr(list_query, name) not in known})


def _known(lines: pa.Table) -> list[str]:
    return [each for each in lines["appointment_id"].to_pylist() if each is not None]


def _clinics(lines: pa.Table) -> dict[str, str]:
    codes = sorted(code for code in pc.unique(lines["clinic_code"]).to_pylist() if code)
    return dict(zip(codes, codes, strict=True))


def _days(lines: pa.Table) -> dict[str, str]:
    days = sorted(day for day in pc.unique(lines[_DAY]).to_pylist() if day)
    return {day: day_words(datetime.date.fromisoformat(day)) for day in days}


def _bands(lines: pa.Table) -> dict[str, str]:
    """The bands in the order of the list, the highest risk first."""
    scored = lines.filter(pc.is_valid(lines["band"]))
    highest = scored.group_by("band").aggregate([("probability", "max")]).sort_by([("probability_max", "descending")])
    names = highest["band"].to_pylist()
    return dict(zip(names, names, strict=True))
