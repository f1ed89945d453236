"""An attacker subtracts two reports of the same home: no small count, and no small difference, comes back.

The attacker knows everything that the one in `test_audit_attack` knows of each report, and that the shorter window is
part of the longer one. Every group's count in the shorter is then at most that in the longer, and the differences are
a table of their own, whose groups add up too.
"""

import dataclasses
import datetime
import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World
from tests.property.test_audit_pool import provenance
from tests.unit.test_audit_attack import ALL_NAMES, POLICY, Attack, Cell, given_back, groups_of, number_of, small_cells

from dnapredict.errors import DataError
from dnapredict.fairness import AuditData, ReportContext, remembered, run, write
from dnapredict.fairness.access import AccessAssessment, AccessContext, AccessData, assess
from dnapredict.fairness.access import write as write_access
from dnapredict.fairness.disclosure.derived_ranges import LinkedCounts
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import CountCell
from dnapredict.fairness.measure.audit_counts import AuditCounts, memberships
from dnapredict.fairness.measure.audit_counts import count as counts_of
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.membership import WITHHELD, Group
from dnapredict.fairness.measure.row_counting import count_groups
from dnapredict.fairness.pooling.counts_file import TrustCounts
from dnapredict.fairness.pooling.pooled_audit import audit_pool, pool_context
from dnapredict.fairness.pooling.published_counts import protect_beside_reports

_ASKED = 60  # of some 1,500 small counts, drawn by lot: each takes two linear programs
IN_CHART = ("missed", "reached")
Counted = dict[str, CountedGrouping]


def until(table: pa.Table, month: int) -> pa.Table:
    """The appointments before a month of 2025."""
    return table.filter(pc.less(table["starts_at"], pa.scalar(np.datetime64(f"2025-{month:02}-01", "us"))))


def publish(table: pa.Table, folder: Path, home: Path, *, data: str) -> Counted:
    """Audit `table` in a home, and return its exact counts."""
    audited = AuditData.of(table)
    days = table["starts_at"].to_numpy().astype("datetime64[D]")
    window = days.min().item(), days.max().item()
    home.mkdir(exist_ok=True)
    with remembered(home) as memory:
        before = memory.before("audit", window, data_sha256=data, listed=("model", "a tenth"))
        context = ReportContext("1", "", data, window, "a tenth", "unknown", True, before=before)
        result = run(audited, policy=POLICY, context=context)
        memory.keep(result.publication)
        write(result, folder)
    return {members.grouping.name: count_groups(audited, members) for members in memberships(audited)}


def of_both(
    short: Path, long: Path, counted: tuple[Counted, Counted], *, only: str = ""
) -> list[tuple[object, float, tuple[float, float]]]:
    """What the attacker knows of small counts of both reports and of their difference: cell, truth and range.

    He asks for `_ASKED` of them by lot, or for all of the count `only`.
    """
    groups = [groups_of(each) for each in counted]
    attacks = [Attack(folder, each) for folder, each in zip((short, long), groups, strict=True)]
    both = Attack.__new__(Attack)
    both.groups, both.low, both.high, both.sums = {}, {}, {}, []
    for number, attack in zip(("short", "long"), attacks, strict=True):
        both.low |= {(number, *cell): low for cell, low in attack.low.items()}
        both.high |= {(number, *cell): high for cell, high in attack.high.items()}
        both.sums += [
            ({(number, *cell): w for cell, w in parts.items()}, low, high) for parts, low, high in attack.sums
        ]
    secrets = {
        (name, *cell): value
        for name, each in zip(("short", "long"), counted, strict=True)
        for cell, value in small_cells(each).items()
    }
    truth = [exact(each) for each in counted]
    for name, attack, each in zip(("short", "long"), attacks, truth, strict=True):
        both.low |= {(name, *cell): 0 for cell in zeros_among(attack.low, each)}
    for cell in sorted(truth[0].keys() & truth[1].keys()):
        left = truth[1][cell] - truth[0][cell]
        both.sums.append(({("long", *cell): 1.0, ("short", *cell): -1.0, ("left", *cell): -1.0}, 0, 0))
        if 0 < left < 8:
            secrets["left", *cell] = left
    asked = sorted((cell for cell in secrets if only in cell or not only), key=str)
    asked = asked if only else [asked[place] for place in np.random.default_rng(0).permutation(len(asked))[:_ASKED]]
    found = both.possible(asked)
    return [(cell, secrets[cell], found[cell]) for cell in asked]


def exact(counted: Counted) -> dict[Cell, float]:
    """Every count of the tables, and those of the chart of ethnic groups by deprivation."""
    return {
        (count, *at): number_of(own, count)
        for name, one in counted.items()
        for group, own in zip(one.groups, one.counts, strict=True)
        if (at := place_of(name, one, group)) is not None
        for count in (ALL_NAMES if one.grouping.shown else IN_CHART)
    }


def place_of(name: str, one: CountedGrouping, group: Group) -> tuple[str, str] | None:
    """Where the attacker has the counts of a group; None where no file prints them."""
    if one.grouping.shown:
        return name, group.code
    return ("cells", group.name.replace("; ", "|")) if group.facets and name.endswith("imd_quintile") else None


def zeros_among(hidden: Iterable[Cell], truth: Mapping[Cell, float]) -> dict[Cell, float]:
    """Lowest values of the cells that are 0: a 0 may be hidden for what the report before told.

    A row that holds several groups is their sum.
    """
    return {
        (count, name, code): 0
        for count, name, code in hidden
        if not any(truth.get((count, name, one), 1) for one in code.split("&"))
    }


def world(seed: int, appointments: int) -> pa.Table:
    """A small trust with a few sites."""
    table = World(appointments=appointments, seed=seed, mislabelled=0.02, deprivation=0.6).table()
    sites = np.array(["RXA", "RXB", "RXC"])[
        np.searchsorted([0.6, 0.97], np.random.default_rng(seed).random(appointments))
    ]
    return table.append_column("site_code", pa.array(sites)).sort_by("starts_at")


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("seed", "shorter"), [(0, "eleven months"), (2, "eleven months"), (1, "one appointment fewer")]
)
def test_two_reports_of_a_home_give_no_small_number_by_subtraction(seed: int, shorter: str, tmp_path: Path):
    year = world(seed, 1_500)
    part = until(year, 12) if shorter == "eleven months" else year.slice(0, year.num_rows - 1)
    order = [(part, "part"), (year, "year")] if seed % 2 == 0 else [(year, "year"), (part, "part")]
    counted = {name: publish(table, tmp_path / name, tmp_path / "home", data=name) for table, name in order}
    known = of_both(tmp_path / "part", tmp_path / "year", (counted["part"], counted["year"]))
    assert len(known) == _ASKED
    assert given_back({cell: ends for cell, _, ends in known}) == []
    assert all(low - 1e-6 <= truth <= high + 1e-6 for _, truth, (low, high) in known)


def give_counts(table: pa.Table, home: Path, *, data: str) -> tuple[AuditCounts, Counted]:
    """The protected counts of `table`, remembered by a home, and its exact counts."""
    exact_counts = counts_of(AuditData.of(table), POLICY)
    days = table["starts_at"].to_numpy().astype("datetime64[D]")
    home.mkdir(exist_ok=True)
    with remembered(home) as memory:
        before = memory.before(
            "counts", (days.min().item(), days.max().item()), data_sha256=data, listed=("model", "a tenth")
        )
        assert before is not None
        found = protect_beside_reports(exact_counts, rule=POLICY.disclosure, before=before)
        memory.keep(found.publication)
    return found.counts, dict(exact_counts.counted)


def told_by_file(attack: Attack, protected: AuditCounts, counted: Counted) -> None:
    """Add to an attack the exact numbers of a file of counts; of groups that were put together, their sum."""
    for name, one in protected.counted.items():
        kept = {group.code for group in one.groups}
        held = [group.code for group in counted[name].groups if group.code not in kept]
        for group, own in zip(one.groups, one.counts, strict=True):
            codes = held if group == WITHHELD else [group.code]
            for told in IN_FILE:
                attack._between({(told, name, code): 1.0 for code in codes}, own.counted(told), own.counted(told))


IN_FILE = ("appointments", "missed", "selected", "reached", "unrecorded")


@pytest.mark.cases(1)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_file_of_counts_and_a_later_report_give_no_small_number_back(seed: int, tmp_path: Path):
    table, home = world(seed, 1_500), tmp_path / "home"
    protected, exact_counts = give_counts(table, home, data="year")
    counted = publish(table, tmp_path / "report", home, data="year")
    attack = Attack(tmp_path / "report", groups_of(counted))
    told_by_file(attack, protected, exact_counts)
    attack.low |= zeros_among(attack.low, exact(counted))
    secrets = small_cells(counted)
    asked = sorted(secrets)
    found = attack.possible([asked[place] for place in np.random.default_rng(0).permutation(len(asked))[:_ASKED]])
    assert given_back(found) == []
    assert all(low - 1e-6 <= secrets[cell] <= high + 1e-6 for cell, (low, high) in found.items())


def test_a_file_of_counts_is_refused_after_a_report_whose_hidden_numbers_its_totals_give_back(tmp_path: Path):
    """The report hides numbers behind the rounding of totals, and a file has the exact totals; alone it is given."""
    table, home = world(1, 1_500), tmp_path / "home"
    publish(table, tmp_path / "report", home, data="year")
    with pytest.raises(DataError, match="follow from the totals of all appointments"):
        give_counts(table, home, data="year")
    protected, exact_counts = give_counts(table, tmp_path / "another home", data="year")
    assert protected.everyone.missed == exact_counts["all"].total.missed


def test_a_file_of_counts_puts_groups_together_whose_numbers_would_give_back_those_of_a_report():
    """The report told the sum of a large and a small site: the large one's exact number would give the small one's."""
    exact_counts = counts_of(AuditData.of(world(0, 1_500)), POLICY)
    sites = exact_counts.counted["site"]
    missed = {group.code: one.counted("missed") for group, one in zip(sites.groups, sites.counts, strict=True)}
    assert 0 < missed["RXC"] < 8
    large, small, both = (CountCell("missed", *at) for at in (("site", "RXA"), ("site", "RXC"), ("place", "of both")))
    told = LinkedCounts({large: (missed["RXA"] - 2, missed["RXA"] + 2), small: (1.0, np.inf)})
    told.ranges[both] = missed["RXA"] + missed["RXC"], missed["RXA"] + missed["RXC"]
    told.add_sum([large, small], both)
    first, last = World.window()
    report = PublishedBefore(b"0" * 32, (), "audit", first, last, data="", listed="")
    file = PublishedBefore(b"0" * 32, (), "counts", first, last, data="", listed="")
    alone = protect_beside_reports(exact_counts, rule=POLICY.disclosure, before=file)
    after = dataclasses.replace(file, earlier=(report.publication(told),))
    beside = protect_beside_reports(exact_counts, rule=POLICY.disclosure, before=after)
    assert sites_in(alone.counts) == ["RXA", WITHHELD.code]
    assert sites_in(beside.counts) == ["RXB", WITHHELD.code]  # the row is that of RXA and RXC
    assert "further groups are put together" in beside.unknown[-1]
    assert beside.counts.everyone.missed == exact_counts.everyone.missed


def sites_in(counts: AuditCounts) -> list[str]:
    """The sites with appointments."""
    one = counts.counted["site"]
    return [group.code for group, own in zip(one.groups, one.counts, strict=True) if own.appointments]


def test_files_of_counts_of_overlapping_days_are_refused(tmp_path: Path):
    """Eleven months and the year, each protected by itself, would give the numbers of December by subtraction."""
    year = world(0, 1_500)
    tables = {"eleven months": until(year, 12), "year": year}
    numbers = []
    for name, table in tables.items():
        protected, _ = give_counts(table, tmp_path / f"home of {name}", data=name)
        numbers.append(
            {
                (told, at, group.code): own.counted(told)
                for at, one in protected.counted.items()
                for group, own in zip(one.groups, one.counts, strict=True)
                for told in IN_FILE
            }
        )
    assert [cell for cell in numbers[0].keys() & numbers[1].keys() if 0 < numbers[1][cell] - numbers[0][cell] < 8]
    home = tmp_path / "home"
    give_counts(tables["eleven months"], home, data="eleven")
    give_counts(tables["eleven months"], home, data="eleven")  # the same again tells nothing new
    with pytest.raises(DataError, match="overlap with"):
        give_counts(year, home, data="year")
    give_counts(year.slice(until(year, 12).num_rows), home, data="december")


def with_bookings(table: pa.Table) -> pa.Table:
    """The same appointments as `access` reads them: all have an outcome."""
    rows = table.num_rows
    waits = pa.array(np.random.default_rng(1).integers(0, 90, rows))
    return table.append_column("wait_days", waits).append_column("ahead", pa.array(np.zeros(rows, dtype=bool)))


@pytest.mark.cases(1)
@pytest.mark.parametrize("homes", [("one", "one"), ("one", "another")])
def test_the_attack_finds_what_reports_of_two_homes_give_back(homes: tuple[str, str], tmp_path: Path):
    """Of appointments without an ethnic group December has one; homes that know nothing of each other give it back."""
    year = world(0, 1_500)
    tables = {"part": until(year, 12), "year": year}
    counted = [
        publish(table, tmp_path / name, tmp_path / home, data=name)
        for (name, table), home in zip(tables.items(), homes, strict=True)
    ]
    known = of_both(tmp_path / "part", tmp_path / "year", (counted[0], counted[1]), only="unrecorded")
    assert known
    assert bool(given_back({cell: ends for cell, _, ends in known})) == (homes[0] != homes[1])
    assert all(low - 1e-6 <= truth <= high + 1e-6 for _, truth, (low, high) in known)


def publish_access(table: pa.Table, folder: Path, home: Path) -> AccessAssessment:
    """An access report of the appointments of `publish`, in the same home."""
    listed = AccessData.of(with_bookings(table), dna_codes=("3", "7"))
    days = table["starts_at"].to_numpy().astype("datetime64[D]")
    window = days.min().item(), days.max().item()
    home.mkdir(exist_ok=True)
    with remembered(home) as memory:
        before = memory.before("access", window, data_sha256="one")
        assessed = assess(
            listed, policy=POLICY, context=AccessContext("", "one", window, "unknown", True, before=before)
        )
        memory.keep(assessed.publication)
        write_access(assessed, folder)
    return assessed


@pytest.mark.cases(1)
@pytest.mark.parametrize(("seed", "first"), [(4, "audit"), (5, "access"), (4, "access")])
def test_an_audit_and_an_access_report_of_the_same_extract_give_no_small_number_back(
    seed: int, first: str, tmp_path: Path
):
    table, home = world(seed, 1_200), tmp_path / "home"
    assessed = publish_access(table, tmp_path / "access", home) if first == "access" else None
    counted = publish(table, tmp_path / "audit", home, data="one")
    assessed = assessed or publish_access(table, tmp_path / "access", home)
    attack = Attack(tmp_path / "audit", groups_of(counted))
    for one in (assessed.everyone, *assessed.tables):
        for row in one.rows:
            share = row.measures["missed"]
            for count, printed in (("missed", share.above), ("appointments", share.below)):
                if printed is not None:  # a share is hidden also where few are left
                    attack._learn((count, one.name, row.group.code), printed)
            held = row.group.code.split("&")
            for count in ("missed", "appointments") if len(held) > 1 else ():
                attack._between({(count, one.name, c): 1 for c in held} | {(count, one.name, row.group.code): -1}, 0, 0)
    attack.low |= zeros_among(attack.low, exact(counted))
    secrets = small_cells(counted)
    asked = sorted(secrets)
    asked = [asked[place] for place in np.random.default_rng(0).permutation(len(asked))[:_ASKED]]
    found = attack.possible(asked)
    assert given_back(found) == []
    assert all(low - 1e-6 <= secrets[cell] <= high + 1e-6 for cell, (low, high) in found.items())


@pytest.mark.cases(1)
@pytest.mark.parametrize("trusts", [2, 3])
def test_a_pooled_report_less_the_reports_of_the_other_trusts_gives_no_small_number_of_the_last(
    trusts: int, tmp_path: Path
):
    tables = [world(100 + number, 1_500) for number in range(trusts)]
    counts = [counts_of(AuditData.of(table), POLICY) for table in tables]
    write_pooled(counts, tmp_path / "pool")
    counted = {
        str(number): publish(table, tmp_path / f"own{number}", tmp_path / f"home{number}", data=str(number))
        for number, table in enumerate(tables[:-1])
    }
    pooled = dict(functools.reduce(operator.add, counts).counted)
    attack = Attack.__new__(Attack)
    attack.groups, attack.low, attack.high, attack.sums = {}, {}, {}, []
    for name, each in {"pool": pooled, **counted}.items():
        learn(attack, name, tmp_path / ("pool" if name == "pool" else f"own{name}"), each)
    last, others = exact(dict(counts[-1].counted)), [exact(each) for each in counted.values()]
    for cell in sorted(exact(pooled).keys() & last.keys()):
        if all(cell in each for each in others):
            parts = {(name, *cell): -1.0 for name in (*counted, "last")}
            attack.sums.append(({("pool", *cell): 1.0, **parts}, 0, 0))
    limited = {cell for parts, *_ in attack.sums for cell in parts}
    asked = sorted((cell for cell, value in last.items() if 0 < value < 8 and ("last", *cell) in limited), key=str)
    asked = [asked[place] for place in np.random.default_rng(0).permutation(len(asked))[:_ASKED]]
    found = attack.possible([("last", *cell) for cell in asked])
    assert len(asked) == _ASKED
    assert given_back(found) == []
    assert all(low - 1e-6 <= last[cell[1:]] <= high + 1e-6 for cell, (low, high) in found.items())


def write_pooled(counts: Sequence[AuditCounts], folder: Path) -> None:
    files = [TrustCounts(f"{place}.json", provenance(f"Trust {place}"), each) for place, each in enumerate(counts)]
    made = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    context = pool_context(files, code_revision="", created_at=made)
    write(audit_pool(files, policy=POLICY, context=context), folder)


def learn(attack: Attack, name: str, folder: Path, counted: Counted) -> None:
    """Add what one report tells, under its name."""
    one = Attack(folder, groups_of(counted))
    one.low |= zeros_among(one.low, exact(counted))
    attack.low |= {(name, *cell): low for cell, low in one.low.items()}
    attack.high |= {(name, *cell): high for cell, high in one.high.items()}
    attack.sums += [({(name, *cell): w for cell, w in parts.items()}, low, high) for parts, low, high in one.sums]
