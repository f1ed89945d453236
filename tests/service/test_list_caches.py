"""What a worker has at hand of lists and of the log is never behind: another clerk's entry counts at once."""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.browser.worklists import worklist
from tests.examples import examples
from tests.service.test_actions import line
from tests.service.test_week import SHIPPED, scored
from tests.unit.test_kept import NINE, WORKLIST, keep

from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.call_actions import Actions, RecordedAction
from dnapredict.service.call_outcomes import CallDetails, Outcome
from dnapredict.service.call_progress import PlannedCalls, PlannedCallsCache, planned_calls
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.pages.calls.call_queue import CallQueue, call_queue
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_slice import slice_list
from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.list_cache import LISTS_CACHED, ListCache

DAY = datetime.date(2026, 11, 25)
LONDON = ZoneInfo("Europe/London")


class Views:
    """A cache of planned calls that is asked as a page asks it, and the lists that it read."""

    def __init__(self, home: Path) -> None:
        self.lists = TeamLists(home)
        self.cache = PlannedCallsCache()
        self.read: list[str] = []

    def planned(self, config: object = SHIPPED) -> PlannedCalls:
        headings = self.lists.headings()

        def lists() -> Iterator[KeptList]:
            for heading in headings:
                self.read.append(heading.list_id)
                kept = self.lists.shown(heading.list_id)
                if kept is not None:
                    yield kept

        states = self.lists.states(headings)
        return self.cache.of(DAY, states=states, lists=lists, config=config)  # type: ignore[arg-type]

    def fresh(self) -> PlannedCalls:
        kept = (self.lists.shown(heading.list_id) for heading in self.lists.headings())
        return planned_calls(DAY, lists=[each for each in kept if each is not None], config=SHIPPED)


def test_lists_are_read_for_the_calls_of_a_week_only_after_a_change(tmp_path: Path) -> None:
    views = Views(tmp_path)
    first = keep(tmp_path)
    assert views.planned() == views.fresh()
    assert views.planned() == views.planned(SHIPPED.model_copy())
    assert views.read == [first.list_id]


def test_a_list_that_another_process_keeps_corrects_or_deletes_counts_at_once(tmp_path: Path) -> None:
    views = Views(tmp_path)
    first = keep(tmp_path)
    before = views.planned()
    others = WORKLIST.set_column(0, "appointment_id", pa.array([f"other-{n}" for n in range(WORKLIST.num_rows)]))
    second = KeptList(first.model_copy(update={"list_id": "b" * 16}), others)
    list_store.keep(tmp_path, second)
    added = views.planned()
    assert sum(added.numbers.values()) == 2 * sum(before.numbers.values()) > 0
    none = others.set_column(others.column_names.index("selected"), "selected", pa.array([False] * others.num_rows))
    list_store.keep_changed(tmp_path, second.with_rows(none))
    assert views.planned() == views.fresh()
    assert views.planned().numbers == before.numbers
    list_store.delete(tmp_path, first.list_id)
    assert views.planned().numbers == {}


def test_another_configuration_counts_at_once(tmp_path: Path) -> None:
    views = Views(tmp_path)
    keep(tmp_path)
    assert set(views.planned().numbers) == {""}
    by_clinic = SHIPPED.model_copy(update={"capacity": 10, "capacity_per": ("clinic", "week")})
    assert "" not in views.planned(by_clinic).numbers
    assert set(views.planned().numbers) == {""}


def test_a_view_that_nobody_opens_any_more_is_forgotten() -> None:
    cache, read = PlannedCallsCache(), []

    def ask(number: int) -> None:
        cache.of(DAY, states=number, lists=lambda: read.append(number) or [], config=SHIPPED)

    for number in (*range(65), 64, 0):
        ask(number)
    assert read == [*range(65), 0]


OUTCOMES = st.sampled_from(["confirmed", "no_answer", "wrong_number", "withdrawn"])
RECORDED = st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), OUTCOMES), max_size=6)


@settings(max_examples=examples(15), deadline=None)
@given(recorded=RECORDED)
def test_each_of_two_processes_knows_at_once_what_the_other_recorded(
    tmp_path_factory: pytest.TempPathFactory, recorded: Sequence[tuple[bool, str, str]]
) -> None:
    home = tmp_path_factory.mktemp("home")
    clerks = [Actions(ScoringLog(home), Hashes(home)) for _ in range(2)]
    today = datetime.datetime.now(datetime.UTC).date()
    for is_second, appointment, outcome in recorded:
        clerks[is_second].record("l", line(appointment), Outcome(outcome))
        fresh = Actions(ScoringLog(home), Hashes(home))
        for clerk in clerks:
            assert clerk.of_week(today) == fresh.of_week(today)
            assert clerk.entries_of_week(today) == fresh.entries_of_week(today)


def test_a_week_of_another_log_is_read_again(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    today = datetime.datetime.now(datetime.UTC).date()
    log, other_log = ScoringLog(home), ScoringLog(other)
    Actions(other_log, Hashes(other)).record("l", line("b", "EYE"), Outcome.CONFIRMED)
    other_log.close()  # only then is everything in one file
    actions = Actions(log, Hashes(home))
    actions.record("l", line("a"), Outcome.NO_ANSWER)
    assert [each.clinic for each in actions.of_week(today)] == ["ENT1"]
    log.close()
    assert not [*home.glob("scoring-log.db-*"), *other.glob("scoring-log.db-*")]
    (other / "scoring-log.db").replace(home / "scoring-log.db")
    (home / "newest" / "scoring-log").unlink()  # on purpose
    assert [each.clinic for each in actions.of_week(today)] == ["EYE"]


def listed() -> KeptList:
    """A list of 12 lines of which eight are selected."""
    table = worklist(scored=12, bad=1)
    selected = pa.array([number < 8 for number in range(table.num_rows)])
    table = table.set_column(table.column_names.index("selected"), "selected", selected)
    return KeptList.new(table, name="week", model_version="7", synthetic=True)


MINUTES = st.integers(0, 4 * 24 * 60)
ENTRIES = st.tuples(st.integers(1, 12), st.sampled_from([*Outcome]), MINUTES, st.none() | MINUTES)


@settings(max_examples=examples(40), deadline=None)
@given(
    recorded=st.lists(ENTRIES, max_size=8), moments=st.lists(MINUTES, min_size=1, max_size=3), most=st.integers(1, 3)
)
def test_the_next_patient_follows_from_the_entries_alone_whatever_was_asked_before(
    recorded: Sequence[tuple[int, Outcome, int, int | None]], moments: Sequence[int], most: int
) -> None:
    kept = listed()
    ids, entries = kept.page_rows["appointment_id"].to_pylist(), {}

    def queue_of(one: KeptList, now: datetime.datetime) -> CallQueue:
        return call_queue(
            one,
            entries_of=lambda names: {each: entries[each] for each in names if each in entries},
            opted_out=lambda _: (),
            most_attempts=most,
            unanswered_action="No call",
            now=now,
        )

    for number, outcome, at, back in recorded:
        details = CallDetails(call_back_at=None if back is None else NINE + datetime.timedelta(minutes=back))
        action = RecordedAction(outcome, NINE + datetime.timedelta(minutes=at), "key", details)
        entries[ids[number - 1]] = (*entries.get(ids[number - 1], ()), action)
        for minutes in moments:
            now = NINE.astimezone(LONDON) + datetime.timedelta(minutes=minutes)
            assert queue_of(kept, now) == queue_of(replace(kept), now)


QUERIES = st.builds(
    ListQuery,
    show=st.sampled_from(["to-call", "all", "not-scored"]),
    clinic=st.sampled_from(["", "ENT1", "EYE2"]),
    sort=st.sampled_from(["place", "time", "clinic"]),
    progress=st.sampled_from(["", "open", "done"]),
    assigned=st.sampled_from(["", "Ada", "nobody yet"]),
    page=st.integers(1, 4),
)


@settings(max_examples=examples(60), deadline=None)
@given(queries=st.lists(QUERIES, min_size=1, max_size=4), done=st.sets(st.integers(1, 12)))
def test_a_part_of_a_list_has_the_lines_that_its_query_selects(queries: Sequence[ListQuery], done: set[int]) -> None:
    kept = listed()
    rows = [{**row, "line": number} for number, row in enumerate(kept.page_rows.to_pylist(), start=1)]
    ids = {rows[number - 1]["appointment_id"] for number in done}
    confirmed = RecordedAction(Outcome.CONFIRMED, NINE, "key")
    assigned = {1: "Ada", 9: "Ada"}
    for query in queries:
        part = slice_list(
            kept,
            query,
            latest_of=lambda names: {each: confirmed for each in names if each in ids},
            assigned=assigned,
            lines_a_page=3,
        )
        asked = part.list_query
        wanted = [
            row
            for row in rows
            if {"to-call": row["selected"], "all": row["error"] is None, "not-scored": row["error"]}[asked.show]
            and asked.clinic in ("", row["clinic_code"])
            and asked.assigned in ("", assigned.get(row["line"], "nobody yet"))
            and (not asked.progress or (row["appointment_id"] in ids) == (asked.progress == "done"))
        ]
        assert sorted(part.numbers) == [row["line"] for row in wanted]
        assert part.total == len(wanted)
        start = (asked.page - 1) * 3
        assert [each["line"] for each in part.lines] == list(part.numbers)[start : start + 3]
        key = {"time": "starts_at", "clinic": "clinic_code"}.get(asked.sort, "rank")
        values = [rows[number - 1][key] for number in part.numbers]
        assert values == sorted(values, key=lambda each: (each is None, each if each is not None else 0))


def test_what_is_derived_from_a_list_is_derived_once_for_the_last_few_lists() -> None:
    derived: list[KeptList] = []
    cache = ListCache(lambda kept: derived.append(kept) or len(derived))
    lists = [scored(DAY, (str(number), "ENT1", "S1", "120")) for number in range(LISTS_CACHED + 1)]
    assert [cache.of(each) for each in (*lists[:2], *lists[:2])] == [1, 2, 1, 2]
    assert cache.of(replace(lists[0])) == 3  # a changed list is another object
    for each in lists[2:]:
        cache.of(each)
    assert cache.of(lists[0]) == len(derived) > LISTS_CACHED + 1
