"""What the audit says of worlds whose unfairness is known: a specification to read."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World

from dnapredict.config.fairness_policy import AllocationLimit, EvidenceLimit, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import ConfigurationError
from dnapredict.fairness import AuditData, AuditResult, ReportContext, Verdict, run
from dnapredict.fairness.verdicts import Cause, Check

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext(
    model_version="1",
    model_sha256="0" * 64,
    data_sha256="0" * 64,
    window=World.window(),
    capacity="the 10 in 100 with the highest risk",
    code_revision="unknown",
    synthetic=True,
)


def audit(world: World, **context: object) -> AuditResult:
    origin = dataclasses.replace(CONTEXT, **context)  # type: ignore[arg-type]
    return run(AuditData.of(world.table()), policy=POLICY, context=origin)


def of_group(result: AuditResult, gate: str, code: str) -> Check:
    found = result.gate(gate)
    assert found is not None
    return next(check for check in found.checks if check.group.code == code)


@pytest.mark.cases(2)
@pytest.mark.parametrize("seed", range(5))
def test_a_fair_world_never_fails(seed: int):
    assert audit(World(appointments=100_000, seed=seed)).verdict is not Verdict.FAIL


def test_a_week_of_appointments_is_not_enough_to_say():
    assert audit(World(appointments=13_000)).verdict is Verdict.NOT_ENOUGH_DATA


def test_an_under_scored_group_fails_and_the_cause_is_named():
    result = audit(World(appointments=200_000, under_scored="J"))
    pakistani = of_group(result, "G3", "J")
    assert result.verdict is pakistani.verdict is Verdict.FAIL
    assert pakistani.cause is Cause.UNDER_SCORED


@pytest.mark.parametrize(("missed", "reached", "verdict"), [
    (84, 0, Verdict.FAIL),  # too few for a rule of thumb, and certain all the same
    (84, 30, Verdict.NOT_ENOUGH_DATA),
    (9, 0, Verdict.NOT_ENOUGH_DATA),
])  # fmt: skip
def test_a_small_group_fails_where_its_harm_is_certain_and_never_passes(missed: int, reached: int, verdict: Verdict):
    table = World(appointments=60_000, per_patient=1.0).table()
    called, dna = (table[name].to_numpy() for name in ("selected", "dna"))
    rows = [np.flatnonzero(dna & called)[:reached], np.flatnonzero(dna & ~called)[: missed - reached]]
    rows.append(np.flatnonzero(~dna & ~called)[: 8 * missed])
    group = np.full(table.num_rows, None)
    group[np.concatenate(rows)] = "asylum seekers"
    result = run(
        AuditData.of(table.append_column("plus_group", pa.array(group, pa.string()))), policy=POLICY, context=CONTEXT
    )
    assert of_group(result, "G3", "asylum seekers").verdict is verdict


def test_a_group_that_the_model_knows_too_little_about_is_called_so():
    result = audit(World(appointments=200_000, thin_history="K"))
    assert of_group(result, "G3", "K").cause is Cause.WEAKER_INFORMATION
    assert of_group(result, "G3b", "K").verdict is Verdict.FAIL
    assert of_group(result, "G2", "K").verdict is not Verdict.FAIL


def test_a_group_with_lower_need_is_looked_at_and_not_called_unfair():
    result = audit(World(appointments=400_000, lower_need="H"))
    indian = of_group(result, "G3", "H")
    assert indian.verdict is Verdict.REVIEW
    assert indian.cause is Cause.LOWER_NEED
    assert result.verdict is not Verdict.FAIL


def test_a_lost_row_fails_the_records():
    result = audit(World(appointments=20_000), rows_expected=20_001)
    assert result.gates[0].verdict is result.verdict is Verdict.FAIL
    # Few rows are not counted out: their number could tell of a person.
    assert "A few labelled appointments did not reach the audit" in result.gates[0].sentence


def test_records_that_call_the_trusts_errors_missed_are_found_before_reach_is_blamed():
    result = audit(World(appointments=200_000, mislabelled=0.02))
    assert of_group(result, "G1", "core20").verdict is Verdict.FAIL
    assert of_group(result, "G3", "core20").verdict is not Verdict.FAIL
    fair = audit(World(appointments=200_000, mislabelled=0.005))
    assert of_group(fair, "G1", "core20").verdict in (Verdict.REVIEW, Verdict.PASS)
    assert of_group(fair, "G3", "core20").verdict is Verdict.PASS


def test_without_outcome_codes_the_label_is_not_called_sound():
    table = World(appointments=20_000).table().drop_columns(["outcome_code"])
    gate = run(AuditData.of(table), policy=POLICY, context=CONTEXT).gate("G1")
    assert gate is not None
    assert gate.verdict is Verdict.NOT_ENOUGH_DATA


def test_a_new_model_that_takes_help_from_a_group_fails():
    table = World(appointments=200_000, under_scored="J").table()
    fair = World(appointments=200_000).table()["selected"]
    assert table["patient"].equals(World(appointments=200_000).table()["patient"])
    result = run(AuditData.of(table.append_column("live_selected", fair)), policy=POLICY, context=CONTEXT)
    assert of_group(result, "G6", "J").verdict is Verdict.FAIL
    assert of_group(result, "G6", "A").verdict is Verdict.PASS


def test_shares_of_calls_are_for_information_until_the_board_makes_them_a_rule():
    world = World(appointments=100_000, under_scored="J")
    told = audit(world).gate("G4")
    assert told is not None
    assert told.verdict is Verdict.REVIEW
    assert not told.judged
    limits = POLICY.limits.model_copy(update={"allocation": AllocationLimit(chosen=True, why="The board's rule.")})
    policy = POLICY.model_copy(update={"limits": limits})
    chosen = run(AuditData.of(world.table()), policy=policy, context=CONTEXT).gate("G4")
    assert chosen is not None
    assert chosen.judged


def test_for_capacity_planning_nobody_is_called_so_only_the_meaning_of_a_risk_is_judged():
    policy = POLICY.model_copy(update={"use": "capacity planning"})
    result = run(AuditData.of(World(appointments=100_000).table()), policy=policy, context=CONTEXT)
    assert {gate.code for gate in result.gates} == {"G0", "G1", "G2", "G7", "G8"}


def test_a_group_that_the_policy_names_and_the_extract_lacks_fails_the_evidence():
    limits = POLICY.limits.model_copy(
        update={"evidence": EvidenceLimit(plus_groups=("Homeless people",), why="The board named them.")}
    )
    policy = POLICY.model_copy(update={"limits": limits})
    result = run(AuditData.of(World(appointments=20_000).table()), policy=policy, context=CONTEXT)
    gate = result.gate("G7")
    assert gate is not None
    assert gate.verdict is result.verdict is Verdict.FAIL
    assert "Homeless people" in gate.sentence


def test_ethnicity_that_is_seldom_known_fails_the_records():
    table = World(appointments=20_000).table()
    blank = pa.nulls(table.num_rows // 3, pa.string())
    codes = pa.concat_arrays([blank, table["ethnic_category_code"].combine_chunks()[len(blank) :]])
    place = table.column_names.index("ethnic_category_code")
    result = run(AuditData.of(table.set_column(place, "ethnic_category_code", codes)), policy=POLICY, context=CONTEXT)
    gate = result.gate("G0")
    assert gate is not None
    assert gate.verdict is Verdict.FAIL


@pytest.mark.parametrize("grouping", ["disability", "plus", "sex"])
def test_a_grouping_that_the_board_added_and_the_extract_lacks_stops_the_audit(grouping: str):
    table = World(appointments=3_000).table().drop_columns(["gender_code"])
    allowed = tuple(name for name in POLICY.may_be_absent if name != grouping)
    policy = POLICY.model_copy(update={"compared": ("core20", grouping), "may_be_absent": allowed})
    with pytest.raises(ConfigurationError, match=f"'compared' names '{grouping}', and the extract holds"):
        run(AuditData.of(table), policy=policy, context=CONTEXT)


def test_the_shipped_policy_audits_an_extract_without_ethnicity_and_area_and_says_so():
    table = World(appointments=20_000).table().drop_columns(["ethnic_category_code", "imd_decile"])
    result = run(AuditData.of(table), policy=POLICY, context=CONTEXT)
    evidence = result.gate("G7")
    assert evidence is not None
    assert evidence.verdict is Verdict.REVIEW
    assert "Nothing is known of how deprived people's areas are, people's ethnic groups, who has" in evidence.sentence
    assert result.verdict is not Verdict.PASS


def test_a_recorded_reason_on_the_trusts_side_counts_beside_those_who_came_late():
    table = World(appointments=100_000).table()
    letters = pc.and_(table["dna"], pc.less_equal(pc.fill_null(table["imd_decile"], 9), 2))
    recorded = table.append_column("trust_side_reason", letters)
    result = run(AuditData.of(recorded), policy=POLICY, context=CONTEXT)
    assert of_group(result, "G1", "core20").verdict is Verdict.FAIL
    assert of_group(audit(World(appointments=100_000)), "G1", "core20").verdict is Verdict.PASS
