"""Small and odd services get an audit too: a whole report that says what is not known, or a refusal.

Each world is one that a trust or a vendor really has. At revision 34dbf7c the ones marked "was" ended in a
traceback.
"""

import csv
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import OddWorld, World
from tests.undrawn_charts import charts_drawn
from tests.unit.test_audit_attack import Attack, given_back, groups_of, small_cells

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import ConfigurationError, NoEventsError
from dnapredict.fairness import AuditData, AuditResult, ReportContext, Verdict, run, write
from dnapredict.fairness.measure.audit_counts import memberships
from dnapredict.fairness.measure.group_metrics import KNOWS_THE_OUTCOME
from dnapredict.fairness.measure.row_counting import count_groups

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)

WORLDS = {
    "a clinic of 13 with 5 missed": OddWorld(13, 5),  # was OverflowError
    "a single appointment, which was missed": OddWorld(1, 1),  # was OverflowError
    "nobody came": OddWorld(9, 9),  # was OverflowError
    "one missed in six weeks of a small trust": OddWorld(900, 1),  # was OverflowError
    "all but three missed": OddWorld(120, 117),
    "one patient with 200 appointments": OddWorld(200, 25, patients=1),
    "no patient, ethnic group, area or flag": OddWorld(
        200, 30, patients=0, ethnicity="absent", areas="absent", flags="absent", places="absent"
    ),
    "every column there and nothing known": OddWorld(
        200, 30, ethnicity="unknown", areas="unknown", flags="unknown", places="unknown"
    ),
    "one group of everything on one day": OddWorld(
        150, 20, ethnicity="one", areas="one", flags="one", places="one", days=1, calls=1
    ),
    "more calls than appointments": OddWorld(150, 20, calls=100_000),  # was RuntimeWarning (sqrt)
    "everyone has the same risk": OddWorld(400, 60, risks="constant"),
    "all risks are 0": OddWorld(400, 60, risks="zero"),
    "all risks are 1": OddWorld(400, 60, risks="one"),
    "the scores are the outcomes": OddWorld(400, 60, risks="outcome"),  # was LinAlgError
    "the scores are the outcomes turned round": OddWorld(400, 60, risks="reversed"),  # was LinAlgError
    "every missed appointment ranks first": OddWorld(400, 60, risks="separating"),  # was LinAlgError
}
NOT_A_NUMBER = re.compile(r"(?<![A-Za-z])(nan|-?inf|NaN|-?Infinity)(?![A-Za-z])")


def policy(**limits: dict[str, Any]) -> Policy:
    """The shipped policy with other limits."""
    values = POLICY.model_dump()
    for name, changed in limits.items():
        values["limits"][name] |= changed
    return Policy.model_validate(values)


def audited(world: OddWorld, *, by: Policy = POLICY) -> AuditResult:
    """The audit of a world, in which every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return run(AuditData.of(world.table()), policy=by, context=CONTEXT)


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def whole(folder: Path) -> dict[str, Any]:
    """The figures of a report, after a look at every file: no number that is none, no torn CSV."""
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            lines = list(csv.reader(text.splitlines()))
            assert len({len(line) for line in lines}) == 1, path.name
        said = re.sub(r"<style.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
        assert not NOT_A_NUMBER.search(said), path.name
    figures: dict[str, Any] = json.loads((folder / "audit.json").read_text(), parse_constant=refuse)
    return figures


@pytest.mark.cases(6)
@pytest.mark.parametrize("name", WORLDS)
def test_every_odd_world_gives_a_whole_report_that_never_passes_on_too_little(
    name: str, tmp_path: Path, undrawn: pytest.MonkeyPatch
):
    world = WORLDS[name]
    with charts_drawn(undrawn):
        folder = write(audited(world), tmp_path / "report").parent
    figures = whole(folder)
    assert figures["verdict"] != "PASS"
    counts = [row["counts"] for table in figures["groupings"].values() for row in table["rows"]]
    for number in (n for row in [figures["overall"]["counts"], *counts] for n in row.values()):
        assert number is None or number % 5 == 0
    if world.missed < POLICY.smallest_group and world.risks == "true" and world.ethnicity != "unknown":
        assert figures["verdict"] == "NOT ENOUGH DATA"
        page = (folder / "report.html").read_text()
        assert "There is not enough data to say. This is not a pass." in page
        told = "There is not enough data to say of any group whether it is behind."
        assert told in page or not figures["gates"][3]["checks"]  # where no group is known, that is said


@pytest.mark.parametrize(
    "world",
    [
        OddWorld(13, 5, areas="absent", flags="one"),
        OddWorld(20, 12, ethnicity="each", areas="each", flags="absent"),
    ],
)
def test_no_count_of_a_tiny_trust_can_be_worked_out(world: OddWorld, tmp_path: Path):
    """Also where a printed total is itself 1 to 7."""
    appointments = AuditData.of(world.table())
    write(run(appointments, policy=POLICY, context=CONTEXT), tmp_path / "report")
    counted = {m.grouping.name: count_groups(appointments, m) for m in memberships(appointments)}
    secret = small_cells(counted)
    found = Attack(tmp_path / "report", groups_of(counted)).possible(list(secret))
    assert secret
    assert given_back(found) == []
    assert all(low - 1e-6 <= secret[cell] <= high + 1e-6 for cell, (low, high) in found.items())


def test_the_risk_of_a_few_people_is_no_point_of_a_chart():
    for curve in audited(OddWorld(13, 5)).chart_data.calibration:
        assert all(point.n is not None and point.n >= 10 for point in curve.points)


def test_nobody_missed_is_refused_by_a_sentence():
    with pytest.raises(NoEventsError, match="no labelled appointment was missed"):
        audited(OddWorld(50, 0))


@pytest.mark.parametrize("risks", ["outcome", "reversed", "separating"])
def test_scores_that_know_the_outcome_are_named_on_page_one_and_never_pass(risks: Any, tmp_path: Path):
    result = audited(OddWorld(2_500, 500, risks=risks))
    row = result.everyone.rows[0]
    assert row.calibration_slope is None
    assert row.no_line_because == "not estimable: the risks separate those who missed from those who came"
    gate = result.gate("G2")
    assert gate is not None
    assert gate.verdict is not Verdict.PASS
    page = write(result, tmp_path / "report").read_text()
    assert page.index(KNOWS_THE_OUTCOME) < page.index("What we can say")


def test_a_forecast_is_not_said_to_know_the_outcome():
    result = audited(OddWorld(2_500, 500))
    assert result.everyone.rows[0].calibration_slope is not None
    assert KNOWS_THE_OUTCOME not in str(result.gates)


@pytest.mark.cases(2)
@pytest.mark.parametrize("gap", [1e-12, 0.5, 0.999999])
def test_limits_as_loose_or_tight_as_a_policy_may_have_them_are_judged(gap: float, tmp_path: Path):
    """At 0.5 and above was ValueError: a group reached by nobody is within the limit."""
    by = policy(
        reach={"max_harm_gap": gap},
        ranking={"max_harm_gap": gap},
        label={"pass_points": 0.0 if gap < 0.5 else 1.0, "fail_points": 0.0 if gap < 0.5 else 1.0},
        calibration={"low": 1.0, "high": 1.0} if gap < 0.5 else {"low": 1e-9, "high": 1e9},
        records={"pass_known": 1.0 if gap < 0.5 else 0.0, "fail_known": 0.0},
    )
    figures = whole(write(audited(OddWorld(2_500, 500), by=by), tmp_path / "report").parent)
    assert next(gate for gate in figures["gates"] if gate["code"] == "G3")["checks"]


@pytest.mark.parametrize(
    ("written", "says"),
    [("high = inf", "finite"), ("high = nan", "finite"), ("low = 0.0", "greater"), ("high = 0.5", "greater")],
)
def test_a_limit_that_is_no_number_is_refused_with_its_key(written: str, says: str, tmp_path: Path):
    text = shipped("fairness/policy.toml").read_text(encoding="utf-8")
    key = written.partition(" ")[0]
    path = tmp_path / "policy.toml"
    path.write_text(re.sub(rf"(?m)^{key} = .*$", written, text, count=1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"limits\.calibration\.{key}.*{says}"):
        load(path, Policy)


def test_worlds_drawn_by_lot_are_reported_or_refused():
    """A few of the hundreds that `python -m benchmarks.audit_worlds` runs."""
    for seed in range(2):
        try:
            result = audited(OddWorld.drawn(seed))
        except NoEventsError:
            continue
        assert result.verdict in set(Verdict)
        assert np.isfinite([row.counts["missed"] or 0 for row in result.everyone.rows]).all()


def test_the_same_seed_draws_the_same_world():
    assert OddWorld.drawn(7) == OddWorld.drawn(7)
    assert isinstance(OddWorld.drawn(7).extract(), pa.Table)
