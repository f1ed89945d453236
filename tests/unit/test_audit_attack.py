"""An attacker reads every file of a report and works out what small counts can be: they stay secret.

The attacker knows the rule (1 to 7 hidden, others to the nearest 5), which groups add up to which, and that
nobody is reached who was not called. Everything printed becomes a bound, and a linear program gives the
lowest and highest value that each hidden count can have. Fewer than three values left would be a disclosure.
"""

import csv
import dataclasses
import datetime
import inspect
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, hstack, lil_array, vstack
from tests.unit.test_audit_access import CONTEXT as SERVICE
from tests.unit.test_audit_access import listed, service

from dnapredict.config.fairness_policy import Disclosure, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness import AuditData, ReportContext, run, write
from dnapredict.fairness.access import assess
from dnapredict.fairness.access.access_counts import ASSESSED, count_access
from dnapredict.fairness.access.access_disclosure import _counts as counts_of_access
from dnapredict.fairness.access.access_disclosure import denominator_of as denominator
from dnapredict.fairness.disclosure import hidden_counts
from dnapredict.fairness.disclosure.derived_ranges import LinkedCounts
from dnapredict.fairness.disclosure.linear_program import LinearProgram
from dnapredict.fairness.disclosure.merged_groups import MergedGroups
from dnapredict.fairness.disclosure.suppression import HiddenCounts
from dnapredict.fairness.measure.audit_counts import memberships
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import GROUPINGS, everyone_membership
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups as counted_of
from dnapredict.fairness.report.charts import charts
from dnapredict.fairness.report.csv_tables import csv_files
from dnapredict.fairness.report.report_files import as_json, render, render_tables
from dnapredict.worklist.plan.allocation import RULES
from dnapredict.worklist.plan.call_assignment import allocated

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)
NAMES = ("appointments", "missed", "selected", "reached", "trust_side", "unrecorded")
PRINTED_AS_RATE = {
    "trust_side": ("trust_side", "missed"),
    "ethnicity_unknown": ("unrecorded", "appointments"),
}
# Counts that are printed in no table and follow from two that are: what is left of the first without the second.
DIFFERENCES = {
    "unreached": ("missed", "reached"),
    "unneeded": ("selected", "reached"),
    "came": ("appointments", "missed"),
    "uncalled": ("appointments", "selected"),
    "came uncalled": ("came", "unneeded"),
    "own reasons": ("missed", "trust_side"),
    "recorded": ("appointments", "unrecorded"),
}
ALL_NAMES = (*NAMES, *DIFFERENCES)
# No count of the second is below that of the first; the last: who was called in vain did come.
NEVER_MORE = (
    ({"reached": 1}, {"missed": 1}),
    ({"reached": 1}, {"selected": 1}),
    ({"trust_side": 1}, {"missed": 1}),
    ({"unrecorded": 1}, {"appointments": 1}),
    ({"selected": 1, "reached": -1}, {"appointments": 1, "missed": -1}),
)
# Above, below and what is left of each rate.
COMPLEMENTS = {
    "base_rate": ("missed", "appointments", "came"),
    "selection_rate": ("selected", "appointments", "uncalled"),
    "reach": ("reached", "missed", "unreached"),
    "unneeded_calls": ("unneeded", "came", "came uncalled"),
    "precision": ("reached", "selected", "unneeded"),
    "trust_side": ("trust_side", "missed", "own reasons"),
    "ethnicity_unknown": ("unrecorded", "appointments", "recorded"),
}
# Rates of differences, with the printed counts that are subtracted.
COUNTS_OF_DIFFERENCES = {
    "missed_support": ("missed", "reached"),
    "unneeded_calls": ("appointments", "missed", "selected", "reached"),
}
FEWEST_POSSIBLE = 3
Cell = tuple[str, str, str]


def world(seed: int, appointments: int = 6_000) -> pa.Table:
    """A small trust: many thin groups, sites, PLUS groups and disability, some reasons on its own side."""
    random = np.random.default_rng(seed)
    table = World(appointments=appointments, seed=seed, mislabelled=0.02, deprivation=0.6).table()
    rows = table.num_rows
    patient = table["patient"].to_numpy()
    lasting = random.random(patient.max() + 1)[patient]
    table = table.append_column("site_code", pa.array(np.array(["RXA", "RXB", "RXC", "RXD"])[
        np.searchsorted([0.6, 0.9, 0.995], random.random(rows))]))  # fmt: skip
    plus = np.select([lasting < 0.004, lasting < 0.012, lasting < 0.03], ["homelessness", "travellers", "asylum"], "")
    table = table.append_column("plus_group", pa.array(np.where(plus == "", None, plus).tolist(), pa.string()))
    table = table.append_column("disability_flag", pa.array(np.where(lasting > 0.995, None, np.where(
        lasting > 0.93, "Y", "N")).tolist(), pa.string()))  # fmt: skip
    table = table.append_column("n_past", pa.array(random.poisson(1.2, rows)))
    risk, decile = table["probability"].to_numpy(), table["imd_decile"].cast("float64").to_numpy()
    for rule in RULES:
        called = allocated(risk, decile, calls=round(0.1 * rows), rule=rule, floor_share=0.8)
        table = table.append_column(f"called_by_{rule}", pa.array(called))
    third = pc.fill_null(pc.equal(table["imd_decile"], 3), False)
    return pa.concat_tables([table.filter(pc.invert(third)), table.filter(third).slice(0, 40)])


class Attack:
    """Bounds from every file of a folder, and sums that everybody knows."""

    everyone_only = False

    def __init__(self, folder: Path, groups: dict[str, list[tuple[str, tuple[tuple[str, str], ...]]]]):
        self.groups = groups
        self.low: dict[Cell, float] = {}
        self.high: dict[Cell, float] = {}
        self.sums: list[tuple[dict[Cell, float], float, float]] = []
        # A report on very few appointments prints no number of any group, so that a hidden one may be 0.
        tables = [self._lines(folder / f"figures_{name}.csv") for name in groups if name != "all"]
        shown = (line[count] for lines in tables for line in lines for count in NAMES[:4])
        self.everyone_only = all(number == "*" for number in shown)
        for name in groups:
            self._table(folder / f"figures_{name}.csv", name)
        self._crossed(folder / "chart_ethnicity_by_deprivation.csv")
        if (folder / "sharing.csv").exists():  # not where the extract holds no deciles
            self._shared(folder / "sharing.csv")
        self._gates(json.loads((folder / "audit.json").read_text()))
        self._add_up()

    @staticmethod
    def _lines(path: Path) -> Iterator[dict[str, str]]:
        return iter(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))

    def _learn(self, cell: Cell, printed: float | None) -> None:
        least = 0 if self.everyone_only and cell[1] != "all" else 1
        low, high = (least, math.inf) if printed is None else (printed, printed)
        if printed:
            low, high = printed - 2, printed + 2
        self.low[cell] = max(low, self.low.get(cell, 0))
        self.high[cell] = min(high, self.high.get(cell, math.inf))

    def _table(self, path: Path, name: str) -> None:
        for line in self._lines(path):
            code = line["code"].removeprefix("'")
            self._held(name, code)
            for count in NAMES[:4]:
                self._learn((count, name, code), None if line[count] == "*" else float(line[count]))
            self._differences(name, code, line)
            for rate, (above, below) in PRINTED_AS_RATE.items():
                if line[rate] != "*" and line[below] != "*":
                    self._learn((above, name, code), round(float(line[rate]) * float(line[below]) / 5) * 5)
            if line["reach_gap"] != "*":
                self._others(name, code, float(line["reach"]) + float(line["reach_gap"]), line)

    def _differences(self, name: str, code: str, line: dict[str, str]) -> None:
        """What the rates tell beside the counts that they are computed from: that what is left is not small."""
        for rate, counts in COUNTS_OF_DIFFERENCES.items():
            assert line[rate] == "*" or "*" not in [line[count] for count in counts]
        for rate, (above, below, left) in COMPLEMENTS.items():
            if line[rate] not in ("*", "0.0") and float(line[rate]) < 1:
                # A rate is not printed where 1 to 7 are left.
                for cell in ((above, name, code), (left, name, code), (below, name, code)):
                    self.low[cell] = max(8, self.low.get(cell, 0))

    def _held(self, name: str, code: str) -> None:
        """A row that holds several groups is their sum; by the rule each of them has few missed appointments."""
        held = code.split("&")
        if len(held) > 1:
            for count in ALL_NAMES:
                self._between({(count, name, one): 1.0 for one in held} | {(count, name, code): -1.0}, 0, 0)
            self.high |= {("missed", name, one): 7.0 for one in held}

    def _others(self, name: str, code: str, rate: float, line: dict[str, str]) -> None:
        """Everyone else's missed and reached, from a gap: the pairs of fives that give exactly that rate."""
        total = self.high["missed", "all", "all"] - 2
        about = total - float(line["missed"])
        if math.isinf(about):
            return  # many pairs of numbers give a rate where the total is hidden
        found = fives(rate, (about - 5, about, about + 5))
        if found:
            for count, printed in zip(("reached", "missed"), found, strict=True):
                self._between({(count, "all", "all"): 1, (count, name, code): -1}, printed - 2, printed + 2)
            if rate < 1:
                whole = {("unreached", "all", "all"): 1.0, ("unreached", name, code): -1.0}
                self._between(whole, 8, math.inf)

    def _between(self, parts: dict[Cell, float], low: float, high: float) -> None:
        self.sums.append((parts, low, high))

    def _crossed(self, path: Path) -> None:
        for line in self._lines(path):
            cell = ("cells", f"{line['ethnic_group']}|{line['deprivation']}")
            missed = None if line["missed"] == "*" else float(line["missed"])
            self._learn(("missed", *cell), missed)
            known = missed and line["reach"] != "*"
            self._learn(("reached", *cell), round(float(line["reach"]) * missed / 5) * 5 if known else None)
            if missed == 0 or line["reach"] == "*":
                self.low["reached", *cell] = 0

    def _shared(self, path: Path) -> None:
        for line in self._lines(path):
            if line["in_use"] == "True" and line["group"] != "Everyone":
                code = "none" if line["group"].startswith("No") else line["group"].partition(",")[0]
                for count, name in (("selected", "called"), ("reached", "reached")):
                    if line[name] != "*":
                        self._learn((count, "imd_quintile", code), float(line[name]))

    def _gates(self, figures: dict) -> None:
        assert figures["context"].get("rows_expected") is None
        for gate in figures["gates"]:
            for check in gate["checks"]:
                if check["estimate"] is None:
                    assert check["p_adjusted"] is None
                    assert check["detectable"] is None

    def _add_up_of(self, counts: Sequence[str]) -> None:
        for count in counts:
            for name, groups in self.groups.items():
                if name == "all":
                    continue
                own = {(count, name, code): 1.0 for code, _ in groups}
                self._between(own | {(count, "all", "all"): -1}, 0, 0)
                for larger in {where for _, within in groups for where in within}:
                    parts = {(count, name, code): 1.0 for code, within in groups if larger in within}
                    self._between(parts | {(count, *larger): -1}, 0, 0)

    def _subtract(self) -> None:
        """Each difference is that of its two counts, in each row."""
        for left, (whole, part) in DIFFERENCES.items():
            for name, groups in self.groups.items():
                for code in {code for code, _ in groups} | {code for _, at, code in self.low if at == name}:
                    parts = {(whole, name, code): 1.0, (part, name, code): -1.0, (left, name, code): -1.0}
                    self._between(parts, 0, 0)

    def _add_up(self) -> None:
        self._add_up_of(ALL_NAMES)
        self._subtract()
        for above, below in NEVER_MORE:
            for name, groups in self.groups.items():
                for code, _ in groups:
                    parts = {(c, name, code): float(sign) for c, sign in above.items()}
                    for c, sign in below.items():
                        parts[c, name, code] = parts.get((c, name, code), 0.0) - sign
                    self._between(parts, -math.inf, 0)
        for count in ("missed", "reached"):
            for side, margin in enumerate(("ethnicity_5", "imd_quintile")):
                for code, _ in self.groups.get(margin, ()):
                    inside = [c for c in self.low if c[:2] == (count, "cells") and self._side(c[2], side) == code]
                    if inside:
                        parts = dict.fromkeys(inside, 1.0) | {(count, margin, code): -1.0}
                        self._between(parts, -math.inf, 0)

    @staticmethod
    def _side(cell: str, side: int) -> str:
        part = cell.split("|")[side]
        return part.partition(",")[0] if side else {"Chinese or other": "other"}.get(part, part.lower())

    def possible(self, cells: list[Cell], *, whole: bool = False) -> dict[Cell, tuple[float, float]]:
        """Lowest and highest value of each cell; of whole numbers alone where `whole`, by integer programming."""
        used = sorted({*self.low, *(cell for parts, *_ in self.sums for cell in parts)})
        place = {cell: number for number, cell in enumerate(used)}
        solve = self._whole_numbers(used) if whole else self._numbers(used)
        found = {}
        for cell in cells:
            ends = []
            for sign in (1, -1):
                aim = np.zeros(len(used))
                aim[place[cell]] = sign
                values = solve(aim)
                ends.append(sign * -math.inf if values is None else values[place[cell]])
            found[cell] = ends[0], ends[1]
        return found

    def _bounds(self, used: list[Cell]) -> tuple[np.ndarray, np.ndarray]:
        low = [self.low.get(cell, 0) for cell in used]
        return np.array(low, dtype=float), np.array([self.high.get(cell, math.inf) for cell in used], dtype=float)

    def _rows(self, used: list[Cell]) -> tuple[csr_array, np.ndarray, np.ndarray]:
        """The sums as a matrix of (sums, cells), with the lowest and highest value of each."""
        place = {cell: number for number, cell in enumerate(used)}
        told = [(row, place[cell], value) for row, (parts, *_) in enumerate(self.sums) for cell, value in parts.items()]
        rows, columns, values = zip(*told, strict=True) if told else ((), (), ())
        matrix = csr_array((values, (rows, columns)), shape=(len(self.sums), len(used)), dtype=float)
        return matrix, np.array([low for _, low, _ in self.sums]), np.array([high for *_, high in self.sums])

    def _whole_numbers(self, used: list[Cell]) -> Callable[[np.ndarray], np.ndarray | None]:
        told, bounds = LinearConstraint(*self._rows(used)), Bounds(*self._bounds(used))

        def solve(aim: np.ndarray) -> np.ndarray | None:
            solved = milp(aim, integrality=1, bounds=bounds, constraints=told)
            assert solved.status in (0, 3), solved.message  # 3: no upper limit
            return solved.x if solved.status == 0 else None

        return solve

    def _numbers(self, used: list[Cell]) -> Callable[[np.ndarray], np.ndarray | None]:
        """Programs that differ in their objective alone, each continued from the last: five times as fast as `linprog`.

        One more cell, which is 1, has the limits of the sums as its weights. What nothing limits ends at `most`.
        """
        matrix, lowest, highest = self._rows(used)
        low, high = self._bounds(used)
        limits = np.concatenate([low, high, lowest, highest])
        most = 100 * np.abs(limits[np.isfinite(limits)]).max(initial=1_000)

        def limited(rows: np.ndarray, sign: float, ends: np.ndarray) -> csr_array:
            return csr_array(hstack([sign * matrix[rows], csr_array(-sign * ends[rows, None])]))

        equal = np.flatnonzero(lowest == highest)
        above, below = (np.flatnonzero(np.isfinite(ends) & (lowest != highest)) for ends in (lowest, highest))
        at_most = vstack([limited(below, 1.0, highest), limited(above, -1.0, lowest)])
        ends = np.append(low, 1.0), np.append(np.minimum(high, most), 1.0)
        program = LinearProgram(limited(equal, 1.0, highest), csr_array(at_most), *ends)

        def solve(aim: np.ndarray) -> np.ndarray | None:
            solved = program.minimise(np.append(aim, 0.0))
            assert solved is not None, "no counts at all agree with what the files tell"
            return None if -(solved.values[:-1] @ aim) > most / 2 else solved.values

        return solve


def fives(rate: float, below: Sequence[float]) -> tuple[float, float] | None:
    """The only numerator and denominator, both multiples of 5, that are printed as `rate`; None where several are."""
    fits = [
        (5.0 * above, whole)
        for whole in below
        for above in range(int(whole / 5) + 1)
        if whole > 0 and abs(5 * above / whole - rate) < 0.00011
    ]
    return fits[0] if len(fits) == 1 else None


def number_of(counts: GroupCounts, name: str) -> float:
    """A count of a group, or a difference of two."""
    if name not in DIFFERENCES:
        return counts.total(name)
    whole, part = DIFFERENCES[name]
    return number_of(counts, whole) - number_of(counts, part)


def small_cells(counted: dict[str, CountedGrouping]) -> dict[Cell, float]:
    """The counts that must stay secret, and what they are."""
    found = {}
    for name, one in counted.items():
        for group, counts in zip(one.groups, one.counts, strict=True):
            if one.grouping.shown:
                found |= {(count, name, group.code): number_of(counts, count) for count in ALL_NAMES}
            elif group.facets and name.endswith("imd_quintile"):
                code = group.name.replace("; ", "|")
                found |= {(count, "cells", code): counts.total(count) for count in ("missed", "reached")}
    return {cell: number for cell, number in found.items() if 0 < number < 8}


def groups_of(counted: dict[str, CountedGrouping]) -> dict[str, list[tuple[str, tuple[tuple[str, str], ...]]]]:
    """Every printed grouping: codes of its groups, and the larger groups that each is part of."""
    return {
        name: [(group.code, tuple(w for w in group.within if w[0] in counted)) for group in one.groups]
        for name, one in counted.items()
        if one.grouping.shown
    }


def given_back(found: dict[Cell, tuple[float, float]]) -> list[Cell]:
    """Cells of which the attacker knows all but one or two values."""
    return [
        cell
        for cell, (low, high) in found.items()
        if high + 1e-6 < math.ceil(low - 1e-6) + FEWEST_POSSIBLE - 1  # infinity where nothing bounds it
    ]


def attack_on(table: pa.Table, folder: Path) -> tuple[dict[Cell, float], Attack]:
    """The secrets of a report, and an attack on its files."""
    audited = AuditData.of(table)
    write(run(audited, policy=POLICY, context=CONTEXT), folder)
    counted = {members.grouping.name: counted_of(audited, members) for members in memberships(audited)}
    return small_cells(counted), Attack(folder, groups_of(counted))


def attacked(table: pa.Table, folder: Path) -> tuple[dict[Cell, float], dict[Cell, tuple[float, float]]]:
    """The secrets of a report, and what an attacker knows of them."""
    secret, attack = attack_on(table, folder)
    return secret, attack.possible(list(secret))


@pytest.mark.cases(1)
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_no_small_count_of_a_small_service_can_be_worked_out_in_whole_numbers(seed: int, tmp_path: Path):
    """Integer programs exclude values that a linear program leaves open; they take long, so that 12 are asked."""
    secret, attack = attack_on(world(seed, appointments=900), tmp_path / "report")
    asked = sorted(secret)
    asked = [asked[place] for place in np.random.default_rng(seed).permutation(len(asked))[:12]]
    found = attack.possible(asked, whole=True)
    assert given_back(found) == []
    assert all(low - 1e-6 <= secret[cell] <= high + 1e-6 for cell, (low, high) in found.items())


@pytest.mark.cases(1)
@pytest.mark.parametrize("seed", range(3))
def test_no_small_count_can_be_worked_out_from_all_files_together(seed: int, tmp_path: Path):
    secret, found = attacked(world(seed), tmp_path / "report")
    assert len(secret) > 40
    assert given_back(found) == []
    assert all(low - 1e-6 <= secret[cell] <= high + 1e-6 for cell, (low, high) in found.items())


def test_programs_that_continue_from_the_last_give_the_ranges_of_linprog(tmp_path: Path):
    secret, attack = attack_on(world(6, appointments=900), tmp_path / "report")
    asked = sorted(secret)[::15]
    for cell, ends in attack.possible(asked).items():
        assert ends == pytest.approx(by_linprog(attack, cell), abs=1e-6)


def by_linprog(attack: Attack, asked: Cell) -> tuple[float, float]:
    """The range of a cell by two programs of SciPy, each solved by itself."""
    used = sorted({*attack.low, *(cell for parts, *_ in attack.sums for cell in parts)})
    told = [(sign, parts, sign * end) for parts, *ends in attack.sums for sign, end in zip((-1, 1), ends, strict=True)]
    told = [each for each in told if math.isfinite(each[2])]
    rows = lil_array((len(told), len(used)))
    for row, (sign, parts, _) in enumerate(told):
        for cell, value in parts.items():
            rows[row, used.index(cell)] = sign * value
    bounds = [(attack.low.get(cell, 0), attack.high.get(cell, math.inf)) for cell in used]
    ends = []
    for sign in (1, -1):
        aim = [sign * (cell == asked) for cell in used]
        solved = linprog(aim, A_ub=rows.tocsr(), b_ub=[end for *_, end in told], bounds=bounds)
        ends.append(sign * (-math.inf if solved.status == 3 else solved.fun))
    return ends[0], ends[1]


def test_the_attack_finds_what_hiding_small_counts_alone_gives_back(tmp_path: Path, monkeypatch):
    def small_alone(exact: dict, _lines: object, rule: Disclosure, **_: object) -> HiddenCounts:
        small = frozenset(cell for cell, number in exact.items() if publish_count(number, rule) is None)
        return HiddenCounts(small, LinkedCounts())

    monkeypatch.setattr(hidden_counts, "cells_to_hide", small_alone)
    monkeypatch.setattr(hidden_counts, "merge_small_groups", lambda *_, **__: MergedGroups())
    _, found = attacked(world(0), tmp_path / "report")
    assert given_back(found)


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every number and text of a result with the name of its field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), field.name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, str(key))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item, name)
    else:
        yield name, value


def test_charts_and_pages_are_drawn_from_published_numbers_alone():
    """What `run` gives holds no exact count and no array of them, so that no coordinate can tell one."""
    result = run(AuditData.of(world(0)), policy=POLICY, context=CONTEXT)
    assert set(inspect.signature(charts).parameters) == {"result"}
    for name, value in leaves(dataclasses.replace(result, policy=None)):
        assert value is None or isinstance(value, str | bool | int | float | datetime.date), (
            name,
            type(value),
        )
        if name in {*NAMES, "n", "fewer"}:
            assert value is None or int(value) % 5 == 0, name


def test_the_pages_say_nothing_that_audit_json_does_not_hold():
    """Text, tooltips and coordinates of both pages are made of what the other tests attack as JSON and CSV."""
    table = world(1, appointments=2_000)
    context = dataclasses.replace(CONTEXT, rows_expected=2_003, accumulated={("sex", "1"): (1.25, -0.75)})
    result = run(AuditData.of(table), policy=POLICY, context=context)
    assert result.increments
    told = dataclasses.replace(
        result,
        publication=None,
        increments=(),
        context=dataclasses.replace(result.context, rows_expected=None, accumulated={}),
    )
    assert as_json(told) == as_json(result)
    assert csv_files(told) == csv_files(result)
    pages = [
        (
            render(one, figures_sha256="", tables_sha256=""),
            render_tables(one, figures_sha256=""),
        )
        for one in (result, told)
    ]
    assert pages[0] == pages[1]
    fields = {field.name for field in dataclasses.fields(result)} - {"publication", "increments"}
    # What is written under another name; everything else has its own.
    names = {"everyone": "overall", "tables": "groupings", "chart_data": "pictures", "allocation_costs": "sharing"}
    assert {names.get(name, name) for name in fields} - {"absent"} <= as_json(result).keys()


def test_no_small_number_of_an_assessment_of_access_can_be_worked_out():
    rows = service().slice(0, 1_500)
    hardly = pc.fill_null(pc.is_in(rows["ethnic_category_code"], pa.array(["R", "K"])), False)
    table = pa.concat_tables([rows.filter(pc.invert(hardly)), rows.filter(hardly).slice(0, 9)])
    found = assess(listed(table), policy=POLICY, context=SERVICE)
    attack = Attack.__new__(Attack)
    attack.low, attack.high, attack.sums = {}, {}, []
    tallied = [count_access(listed(table), members) for members in memberships_of_access(table)]
    attack.groups = groups_of({one.grouping.name: one for one in tallied})
    for one in (found.everyone, *found.tables):
        for row in one.rows:
            for name, number in row.numbers.items():
                attack._learn((name, one.name, row.group.code), number)
            for name, share in row.measures.items():
                attack._learn((name, one.name, row.group.code), share.above)
                if share.above is None:
                    attack.low[name, one.name, row.group.code] = 0  # small, or all but a few
                attack._learn((denominator(name), one.name, row.group.code), share.below)
    attack._add_up_of(sorted({cell[0] for cell in attack.low}))
    secret = {
        (name, one.grouping.name, group.code): number
        for one in tallied
        for group, own in zip(one.groups, one.counts, strict=True)
        for name, number in counts_of_access(own).items()
        if 0 < number < 8
    }
    assert len(secret) > 20
    assert given_back(attack.possible(list(secret))) == []


def memberships_of_access(table: pa.Table) -> list:
    asked = (membership(listed(table).grouped, one) for one in GROUPINGS if one in ASSESSED)
    return [everyone_membership(table.num_rows), *(members for members in asked if members is not None)]
