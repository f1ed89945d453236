"""The lines of a list that a query selects and sorts, and the options of the filters."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.pages.lists.list_query import NOBODY, ListQuery
from dnapredict.service.pages.rendering import day_words, local_day
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.list_cache import ListCache

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
    order
        The indices from 0 of the lines on all pages, in the order of the pages.
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
    order: NDArray[np.int64]
    colleagues: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the lines on all pages, from 1."""
        numbers: list[int] = (self.order + 1).tolist()
        return numbers


class _ListedRows:
    """The rows of a list, with what does not depend on a request: filter options, calls to make, and orders of lines.

    Sorting 20,000 rows for a page of 50 took longer than everything else about them.
    """

    def __init__(self, kept: KeptList) -> None:
        rows = kept.page_rows
        self.rows = rows.append_column(_DAY, _local_days(rows["starts_at"], kept.heading.zone))
        self.clinics, self.days, self.bands = _clinics(self.rows), _days(self.rows), _bands(self.rows)
        self.calls = tuple(_known(rows.filter(pc.fill_null(rows["selected"], False))["appointment_id"]))
        self._orders: dict[tuple[str, str], NDArray[np.int64]] = {}

    def order(self, show: str, sort: str) -> NDArray[np.int64]:
        """The indices of the lines of a tab, sorted; computed once for each of the few tabs and orders."""
        if (show, sort) not in self._orders:
            self._orders[show, sort] = _sorted(self.rows, _shown(self.rows, show), sort)
        return self._orders[show, sort]

    def lines(self, order: NDArray[np.int64], assigned: Mapping[int, str]) -> list[dict[str, Any]]:
        """The lines with these indices, each with its number and the colleague who calls."""
        rows = self.rows.take(pa.array(order)).to_pylist()
        numbers = [index + 1 for index in order.tolist()]
        return [
            {**row, _NUMBER: number, _COLLEAGUE: assigned.get(number, NOBODY)}
            for number, row in zip(numbers, rows, strict=True)
        ]


_ROWS: Final = ListCache(_ListedRows)


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
    whole = _ROWS.of(kept)
    colleagues = _colleagues(assigned)
    list_query = _with_known_filters(
        list_query, clinic=whole.clinics, day=whole.days, band=whole.bands, assigned=colleagues
    )
    order = _filtered(whole, whole.order(list_query.show, list_query.sort), list_query, assigned)
    ids = whole.rows["appointment_id"].take(pa.array(order)) if list_query.progress else None
    latest = dict(latest_of(dict.fromkeys([*whole.calls, *(() if ids is None else _known(ids))])))
    if ids is not None:
        is_done = np.array([_is_done(latest.get(each)) for each in ids.to_pylist()], dtype=bool)
        order = order[is_done if list_query.progress == "done" else ~is_done]
    pages = max(1, -(-len(order) // lines_a_page))
    page = min(max(list_query.page, 1), pages)
    lines = whole.lines(order[(page - 1) * lines_a_page : page * lines_a_page], assigned)
    shown = (line["appointment_id"] for line in lines)
    latest |= latest_of([each for each in shown if each is not None and each not in latest])
    return ListSlice(
        list_query=list_query.at(page),
        lines=lines,
        total=len(order),
        pages=pages,
        clinics=whole.clinics,
        days=whole.days,
        bands=whole.bands,
        latest=latest,
        calls=whole.calls,
        order=order,
        colleagues=colleagues,
    )


def _local_days(moments: pa.ChunkedArray, zone: datetime.tzinfo) -> pa.Array:
    """The day of each time by the clock of `zone`, in ISO format; many lines have the same time."""
    encoded = moments.combine_chunks().dictionary_encode()
    known = [local_day(moment, zone).isoformat() for moment in encoded.dictionary.to_pylist()]
    return pa.array(known, pa.string()).take(encoded.indices)


def _colleagues(assigned: Mapping[int, str]) -> dict[str, str]:
    names = sorted(set(assigned.values()))
    return {name: name for name in names} | {NOBODY: "Nobody yet"} if names else {}


def _shown(lines: pa.Table, show: str) -> pa.ChunkedArray:
    """Whether each line is on a tab."""
    if show == "not-scored":
        return pc.is_valid(lines["error"])
    if show == "all":
        return pc.is_null(lines["error"])
    return pc.fill_null(lines["selected"], False)


def _filtered(
    whole: _ListedRows, order: NDArray[np.int64], list_query: ListQuery, assigned: Mapping[int, str]
) -> NDArray[np.int64]:
    """The indices of those lines that the filters select, but for the one by progress."""
    for column, wanted in (("clinic_code", list_query.clinic), (_DAY, list_query.day), ("band", list_query.band)):
        if wanted:
            is_wanted = pc.fill_null(pc.equal(whole.rows[column], wanted), False)
            order = order[is_wanted.to_numpy()[order]]
    if list_query.assigned:
        colleagues = [assigned.get(number, NOBODY) for number in (order + 1).tolist()]
        order = order[np.array([each == list_query.assigned for each in colleagues], dtype=bool)]
    return order


def _is_done(action: RecordedAction | None) -> bool:
    """Whether the call is done; one that reached nobody has to be repeated."""
    return action is not None and action.outcome.reached


def _sorted(lines: pa.Table, is_shown: pa.ChunkedArray, sort: str) -> NDArray[np.int64]:
    """The indices of the shown lines in that order."""
    # A corrected row keeps its line and has its rank by risk.
    column = {"time": "starts_at", "clinic": "clinic_code"}.get(sort, "rank")
    by_risk = [("probability", "descending")] if column == "rank" else []
    numbered = lines.select(dict.fromkeys([column, *(name for name, _ in by_risk)])).append_column(
        _NUMBER, pa.array(np.arange(lines.num_rows))
    )
    shown = numbered.filter(is_shown)
    places = pc.sort_indices(shown, [(column, "ascending"), *by_risk, (_NUMBER, "ascending")])
    order: NDArray[np.int64] = shown[_NUMBER].take(places).to_numpy()
    return order


def _with_known_filters(list_query: ListQuery, **there: Mapping[str, str]) -> ListQuery:
    """The query without filters for values that the list does not have."""
    return list_query.without({name for name, known in there.items() if getattr(list_query, name) not in known})


def _known(appointment_ids: pa.ChunkedArray) -> list[str]:
    return appointment_ids.drop_null().to_pylist()  # type: ignore[no-any-return]


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
