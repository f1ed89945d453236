"""Lists that are ranked by the expected benefit of a call, and when a trial supports that."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import ConfigurationError, ModelError
from dnapredict.trial.benefit_learner import BenefitRows, cross_fit, learn_benefit, patient_folds
from dnapredict.trial.ranking_value import ranking_value
from dnapredict.worklist.plan.benefit_ranking import (
    expected_benefit,
    is_remote,
    read_benefit_model,
    write_benefit_model,
)
from dnapredict.worklist.plan.call_capacity import call_rules, differ_from_audited
from dnapredict.worklist.plan.ranking import RankingInputs
from dnapredict.worklist.plan.replay import replay

# Calls help most at a risk of 20 in 100, and do nothing where the appointment is remote.
MODEL = BenefitModel(
    trial="Calls 2027",
    appointments=5_000,
    knots=(0.05, 0.20, 0.60),
    in_person=(0.01, 0.10, 0.02),
    remote=(0.0, 0.0, 0.0),
)

LIST = """
id | risk | mode | attendance | benefit | by risk | by benefit
a  | 0.60 | 01   | 1          | 0.020   | 2       | 3
b  | 0.20 | 01   | 1          | 0.100   | 4       | 1
c  | 0.20 |      |            | 0.100   | 5       | 2
d  | 0.30 | 02   | 1          | 0.000   | 3       | 6
e  | 0.70 |      | 3          | 0.000   | 1       | 7
f  | 0.05 | 01   | 3          | 0.010   | 6       | 4
g  | 0.02 | 01   | 1          | 0.004   | 7       | 5
"""
HEADER, *ROWS = ([cell.strip() for cell in line.split("|")] for line in LIST.strip().splitlines())


def column(name: str) -> list[str]:
    return [row[HEADER.index(name)] for row in ROWS]


def listed() -> pa.Table:
    empty = pa.nulls(len(ROWS), pa.string())
    return pa.table(
        {
            "appointment_id": column("id"),
            "probability": [float(risk) for risk in column("risk")],
            "consultation_mechanism_code": [code or None for code in column("mode")],
            "first_attendance_code": [code or None for code in column("attendance")],
            "imd_decile": pa.nulls(len(ROWS), pa.int64()),
            "starts_local": pa.array([np.datetime64("2027-03-01T09:00", "us")] * len(ROWS)),
            **dict.fromkeys(("patient_id", "clinic_code", "site_code", "treatment_function_code"), empty),
        }
    )


def config(**settings: object) -> WorklistConfig:
    return load(shipped("serving/worklist.toml"), WorklistConfig).model_copy(update=settings)


def test_the_benefit_of_each_appointment():
    table = listed()
    found = expected_benefit(MODEL, table["probability"].to_numpy(), is_remote(table))
    assert found == pytest.approx([float(value) for value in column("benefit")])


@pytest.mark.parametrize(("ranked_by", "model"), [("risk", None), ("benefit", MODEL)])
def test_the_order_of_a_list(ranked_by: str, model: BenefitModel | None):
    inputs = RankingInputs.of(listed(), config=config(rank_by=ranked_by, benefit=model))
    ordered = [column("id")[row] for row in inputs.order]
    ranks = dict(zip(column("id"), column(f"by {ranked_by}"), strict=True))
    # Equal values are ordered by a hash: b and c are equal by either, d and e by benefit.
    values = {
        each: inputs.probability[row] if ranked_by == "risk" else float(column("benefit")[row])
        for row, each in enumerate(ranks)
    }
    assert [values[each] for each in ordered] == [
        values[each] for each in sorted(ranks, key=lambda one: int(ranks[one]))
    ]


def test_an_audit_calls_whom_the_list_by_benefit_would_call():
    by_benefit = config(rank_by="benefit", benefit=MODEL, capacity=2)
    inputs = RankingInputs.of(listed(), config=by_benefit)
    called = replay(inputs, config=by_benefit).calls
    assert {column("id")[row] for row in np.flatnonzero(called)} == {"b", "c"}
    by_risk = RankingInputs.of(listed(), config=config(capacity=2))
    assert {column("id")[row] for row in np.flatnonzero(replay(by_risk, config=config(capacity=2)).calls)} == {"a", "e"}


def test_a_list_by_benefit_without_a_model_is_refused():
    with pytest.raises(ConfigurationError, match='rank_by = "benefit" needs the benefit model of a home'):
        RankingInputs.of(listed(), config=config(rank_by="benefit"))


def test_an_audit_by_risk_is_no_audit_of_lists_by_benefit():
    by_benefit = config(rank_by="benefit", benefit=MODEL)
    assert differ_from_audited(by_benefit, call_rules(config()))
    assert not differ_from_audited(by_benefit, call_rules(by_benefit))
    other = MODEL.model_copy(update={"remote": (0.0, 0.0, 0.01)})
    assert differ_from_audited(config(rank_by="benefit", benefit=other), call_rules(by_benefit))


def test_a_benefit_model_is_read_as_it_was_written(tmp_path: Path):
    write_benefit_model(MODEL, tmp_path / "benefit.json")
    assert read_benefit_model(tmp_path / "benefit.json") == MODEL


FAULTS = {
    "there is no benefit model": None,
    "is not a benefit model": "[]",
    "its hash differs": json.dumps(
        {"model": MODEL.model_dump(mode="json") | {"trial": "Other"}, "sha256": MODEL.digest}
    ),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_benefit_model_that_was_changed_is_refused(message: str, tmp_path: Path):
    content = FAULTS[message]
    if content is not None:
        (tmp_path / "benefit.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_benefit_model(tmp_path / "benefit.json")


@given(st.floats(0.001, 0.999), st.booleans())
def test_no_call_prevents_more_than_the_risk(risk: float, remote: bool):
    generous = MODEL.model_copy(update={"in_person": (0.9, 0.9, 0.9), "remote": (0.9, 0.9, 0.9)})
    assert expected_benefit(generous, np.array([risk]), np.array([remote]))[0] <= risk


def trial_rows(appointments: int, *, middle: bool, seed: int = 7) -> BenefitRows:
    """A trial in which calls prevent 60 of 100 missed appointments at middle risks, or 39 of 100 at all."""
    generator = np.random.default_rng(seed)
    patient = generator.integers(0, appointments // 2, appointments)
    treated = (generator.random(appointments // 2) < 0.5)[patient]
    odds = generator.normal(-1.6, 0.8, appointments)
    prevented = 0.6 * np.exp(-(((odds + 1.6) / 0.45) ** 2)) if middle else np.full(appointments, 0.39)
    risk = 1 / (1 + np.exp(-odds))
    missed = generator.random(appointments) < np.where(treated, 1 - prevented, 1) * risk
    remote = np.zeros(appointments, dtype=bool)
    return BenefitRows(missed, treated, np.full(appointments, 0.5), risk, remote, patient)


@pytest.mark.parametrize(("middle", "is_better"), [(True, True), (False, False)])
def test_benefit_beats_risk_where_the_gain_is_in_middle_risks(middle: bool, is_better: bool):
    rows = trial_rows(30_000, middle=middle)
    fitted = cross_fit(rows)
    value = ranking_value(fitted.scores, benefit=fitted.benefit, probability=rows.probability, calls=0.5)
    assert (value.gain.interval(1.96).low > 0) == is_better


def test_no_patient_is_in_two_folds():
    rows = trial_rows(2_000, middle=True)
    fold = patient_folds(rows.patient)
    assert len(set(zip(rows.patient.tolist(), fold.tolist(), strict=True))) == len(set(rows.patient.tolist()))
    assert np.bincount(fold).min() > 300


def test_the_same_rows_give_the_same_model():
    rows = trial_rows(5_000, middle=True)
    assert learn_benefit(rows, trial="Calls") == learn_benefit(rows, trial="Calls")
