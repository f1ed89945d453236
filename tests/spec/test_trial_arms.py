"""The arms of a trial on a list: who is in it, who is held out, and what a list of a trial shows.

Patients are held out by lot; here the lot is written beside each patient.
"""

import datetime
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from pydantic import ValidationError
from tests.spec.test_worklist import appointments, rules

from dnapredict.config.loading import load, shipped
from dnapredict.config.trial_config import TrialConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import ConfigurationError
from dnapredict.worklist.files.withheld_risks import without_uncalled_risks
from dnapredict.worklist.plan.call_assignment import OPTED_OUT, REACHED, UNCALLED
from dnapredict.worklist.plan.call_plan import CallPlan, plan_calls
from dnapredict.worklist.plan.trial_arms import ARM_COLUMNS, PatientPlace, RunningTrial, strata_of

TRIAL = {
    "name": "Calls",
    "share_held_out": 0.2,
    "start": datetime.date(2026, 11, 1),
    "end": datetime.date(2027, 3, 31),
    "approved_by": "Research committee",
    "why_ethical": "Nobody knows yet whether a call helps.",
}


class Lots:
    """The places of the patients of a trial: `held` are held out, everybody else is called."""

    def __init__(self, held: str, earlier: Sequence[str] = ()) -> None:
        self.held, self.earlier = set(held.split()), set(earlier)
        self.strata: dict[str, str] = {}

    def known(self, patients: Sequence[str]) -> dict[str, PatientPlace]:
        return {each: self._place(each) for each in patients if each in self.strata}

    def add(self, strata: Mapping[str, str]) -> dict[str, PatientPlace]:
        self.strata |= strata
        return {each: self._place(each) for each in strata}

    def appointments(self, appointments: Sequence[str]) -> set[str]:
        return self.earlier & set(appointments)

    def _place(self, patient: str) -> PatientPlace:
        return PatientPlace(self.strata[patient], patient in self.held)


def trial_plan(
    text: str, lots: Lots, *, excluded: Sequence[int] | None = None, muted: object = None, **changes: object
) -> CallPlan:
    allocates = changes.pop("allocates", True)
    return plan_calls(
        appointments(text),
        config=rules(trial=TRIAL, **changes),
        capacity=None,
        muted=muted,  # type: ignore[arg-type]
        excluded=None if excluded is None else np.array(excluded),
        trial=RunningTrial(lots, bool(allocates)),
    )


def arms(plan: CallPlan) -> list[str]:
    """The arm of each row, and whether it is called."""
    columns = (plan.table[name].to_pylist() for name in ("trial_arm", "selected"))
    return [f"{arm or '-'}{' call' if selected else ''}" for arm, selected in zip(*columns, strict=True)]


LISTED = """
    appointment | patient | day | risk | decile
    a           | p       | 12  | 0.9  | 1
    b           | q       | 11  | 0.8  | 1
    c           | r       | 10  | 0.7  | 9
    d           | s       | 14  | 0.3  | 9
    e           | t       | 13  | 0.1  | 5
"""


def test_a_call_that_is_held_out_goes_to_the_next_in_line_who_enters_the_trial():
    assert arms(trial_plan(LISTED, Lots("p"))) == ["CONTROL", "TREATMENT call", "TREATMENT call", "-", "-"]
    # The next in line may be held out as well.
    assert arms(trial_plan(LISTED, Lots("p r"))) == ["CONTROL", "TREATMENT call", "CONTROL", "TREATMENT call", "-"]


def test_whom_the_plan_would_not_call_is_in_no_arm():
    lots = Lots("t")
    assert arms(trial_plan(LISTED, lots)) == ["TREATMENT call", "TREATMENT call", "-", "-", "-"]
    assert set(lots.strata) == {"p", "q"}


def test_a_row_without_a_call_stands_in_the_order_of_time_with_the_usual_reminder():
    table = trial_plan(LISTED, Lots("p")).table
    shown = [f"{row['rank']} {row['action']}" for row in table.to_pylist()]
    # Held out: a, of the highest risk. It stands between e and d, as its appointment does.
    assert shown == ["3 Usual reminder", "1 Call", "2 Call", "5 Usual reminder", "4 Usual reminder"]


def test_a_need_is_met_whether_somebody_is_called_or_held_out():
    listed = """
        appointment | patient | day | risk | interpreter | transport
        a           | p       | 12  | 0.9  | yes         |
        b           | q       | 11  | 0.8  |             | yes
        c           | r       | 10  | 0.7  |             |
        d           | s       | 14  | 0.3  | yes         |
        e           | t       | 13  | 0.1  |             | yes
    """
    actions = trial_plan(listed, Lots("p q"), capacity=1).table["action"].to_pylist()
    assert actions[0] == actions[3] == "Usual reminder; check that an interpreter is booked"
    assert actions[1] == actions[4] == "Usual reminder; confirm the transport that is booked"


def test_all_appointments_of_a_patient_are_in_one_arm_and_a_held_out_call_mentions_nothing():
    listed = """
        appointment | patient | day | risk
        a           | p       | 12  | 0.9
        b           | p       | 14  | 0.2
        c           | q       | 12  | 0.8
        d           | q       | 14  | 0.2
        e           | r       | 12  | 0.1
    """
    plan = trial_plan(listed, Lots("p"), capacity=1)
    assert arms(plan) == ["CONTROL", "CONTROL", "TREATMENT call", "TREATMENT", "-"]
    assert plan.table["action"].to_pylist()[:2] == ["Usual reminder", "Usual reminder"]
    assert plan.table["action"].to_pylist()[3] == "Mention it in the call at place 1"


def test_a_patient_who_opted_out_before_is_in_no_arm_and_an_unknown_one_is_called_as_ever():
    listed = LISTED.replace("b           | q", "b           |  ")
    listed += "f | u | 13 | 0.1 | 5"
    excluded = [OPTED_OUT] + [UNCALLED] * 5
    plan = trial_plan(listed, Lots("p r", earlier=["a"]), excluded=excluded, capacity=2)
    assert arms(plan) == ["-", "- call", "CONTROL", "TREATMENT call", "-", "-"]


def test_a_patient_who_opts_out_of_calls_of_the_trial_is_not_called_and_stays_in_the_arm():
    listed = LISTED.replace("t       | 13  | 0.1", "p       | 13  | 0.1")
    listed += "f | u | 13 | 0.1 | 5\ng | v | 13 | 0.1 | 5"
    excluded = [OPTED_OUT, UNCALLED, UNCALLED, UNCALLED, OPTED_OUT, UNCALLED, UNCALLED]
    for held, arm in (("", "TREATMENT"), ("p", "CONTROL")):
        lots = Lots(held)
        lots.add({"p": ""})
        # The appointment whose risk is below that of every call would not have been called in either arm.
        plan = trial_plan(listed, lots, excluded=excluded, capacity=2)
        assert arms(plan) == [arm, "TREATMENT call", "TREATMENT call", "-", "-", "-", "-"]


def test_an_appointment_stays_in_the_trial_when_its_call_reached_somebody():
    lots = Lots("", earlier=["a"])
    lots.add({"p": ""})
    excluded = [REACHED, UNCALLED, UNCALLED, UNCALLED, UNCALLED]
    plan = trial_plan(LISTED, lots, excluded=excluded)
    assert arms(plan)[0] == "TREATMENT"
    # Passed over because a call of the trial reached the patient: held out, it would count as well.
    muted = trial_plan(LISTED, lots, muted=lambda call_by: np.arange(len(call_by)) == 0)
    assert arms(muted)[0] == "TREATMENT"


def test_a_list_that_nobody_works_on_has_no_calls_and_tells_no_arm():
    for lots in (Lots("p"), Lots("")):
        plan = trial_plan(LISTED, lots, allocates=False)
        assert arms(plan) == ["-"] * 5
        assert not lots.strata


def test_without_a_call_a_row_has_no_risk_band_or_reason():
    plan = trial_plan(LISTED, Lots("p"))
    table = appointments(LISTED)
    for name in plan.table.column_names:
        table = table.append_column(name, plan.table[name])
    shown = without_uncalled_risks(table)
    assert shown["probability"].to_pylist() == [None, 0.8, 0.7, None, None]
    assert shown["band"].to_pylist() == [None, "High", "High", None, None]


def test_the_arms_are_in_the_plan_and_in_no_file():
    from dnapredict.worklist.files.worklist_columns import COLUMNS, SCHEMA

    assert trial_plan(LISTED, Lots("p")).is_of_trial
    assert not {*COLUMNS, *SCHEMA.names} & set(ARM_COLUMNS.names)


@pytest.mark.parametrize(
    ("strata", "expected"),
    [
        ([], ""),
        (["risk_band"], "risk_band=High"),
        (["deprivation_fifth", "specialty"], "deprivation_fifth=1, specialty=not known"),
        (["mode"], "mode=not known"),
    ],
)
def test_a_stratum_is_named_after_its_values(strata: list[str], expected: str):
    config = rules(trial=TRIAL | {"strata": strata})
    assert config.trial is not None
    assert strata_of(appointments(LISTED), config.trial, config=config)[0] == expected


WRONG = """
    setting        | value                  | message
    share_held_out | 0.7                    | less than or equal to 0.5
    share_held_out | 0.01                   | greater than or equal to 0.05
    strata         | ["ethnicity"]          | Input should be 'risk_band', 'deprivation_fifth', 'specialty' or 'mode'
    strata         | ["mode", "mode"]       | each of the strata is named once
    unit           | "appointment"          | Input should be 'patient'
    end            | 2026-10-31             | must be after start
    end            | 2029-10-31             | longer than two years
    approved_by    | " "                    | name the committee or person
    why_ethical    | "It is."               | say in a sentence why
    name           | "../Calls"             | should match pattern
    name           | "Benefit"              | this name is taken
    held_out       | 0.2                    | Did you mean 'share_held_out'?
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines()[1:])
def test_a_wrong_setting_is_refused_in_words(line: str, tmp_path):
    setting, value, message = (cell.strip() for cell in line.split("|"))
    given = {"name": '"Calls"', "start": "2026-11-01", "end": "2027-03-31", "approved_by": '"A committee"'}
    given |= {"why_ethical": '"Nobody knows yet whether a call helps."', setting: value}
    path = tmp_path / "worklist.toml"
    table = "\n".join(f"{name} = {each}" for name, each in given.items())
    bands = '[[bands]]\nname = "All"\nfrom_probability = 0.0\n'
    path.write_text(f'use = "supportive contact"\ndefault_action = "Call"\n[trial]\n{table}\n{bands}')
    with pytest.raises(ConfigurationError, match=message.replace("[", r"\[").replace("?", r"\?")):
        load(path, WorklistConfig)


def test_the_example_in_the_shipped_file_is_a_valid_trial():
    text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    example = text[text.index("# [trial]") :].split("\n\n")[0]
    import tomllib

    trial = TrialConfig.model_validate(tomllib.loads(example.replace("# ", "", 1).replace("\n# ", "\n"))["trial"])
    assert trial.name == "Calls 2027"
    assert load(shipped("serving/worklist.toml"), WorklistConfig).trial is None


def test_a_trial_needs_every_setting_that_somebody_answers_for():
    with pytest.raises(ValidationError, match="approved_by"):
        TrialConfig.model_validate({name: value for name, value in TRIAL.items() if name != "approved_by"})


def many(rows: int, *, patients: int | None = None) -> str:
    """A list of so many appointments of so many patients, p0 of the highest risk."""
    lines = (f"a{n} | p{n % (patients or rows)} | {10 + n} | {0.9 - n / 1000}" for n in range(rows))
    return "\n".join(("appointment | patient | day | risk", *lines))


@pytest.mark.parametrize(
    ("listed", "excluded"),
    [
        (many(20), None),
        (many(20, patients=10), None),  # a call about two appointments of a patient covers both
        (many(20), [OPTED_OUT] * 10 + [UNCALLED] * 10),  # who opted out has another action than who is held out
        (many(20), [UNCALLED] * 3 + [REACHED] * 6 + [UNCALLED] * 11),  # exported again after calls
    ],
)
def test_a_list_with_calls_for_everybody_hides_who_is_held_out_among_as_many_others(listed: str, excluded):
    plan = trial_plan(listed, Lots("p10 p1"), capacity=20, excluded=excluded, mute_days=30)
    rows = [row for row in plan.table.to_pylist() if row["action"].startswith("Usual reminder")]
    held_out = sum(row["trial_arm"] == "CONTROL" for row in rows)
    assert 0 < 2 * held_out <= len(rows)
    assert any(row["selected"] for row in plan.table.to_pylist())
    assert "this list has at most" in plan.notices[-1]


def test_a_list_with_few_calls_keeps_them_all():
    plan = trial_plan(many(20), Lots("p4"), capacity=8)
    assert sum(plan.table["selected"].to_pylist()) == 8
    assert not plan.notices
