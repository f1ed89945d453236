"""Arms of a trial: the same patient keeps the arm, strata stay balanced, nobody can tell the next arm."""

import datetime
import secrets
import shutil
import sqlite3
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.spec.test_trial_arms import TRIAL

from dnapredict.config.trial_config import TrialConfig
from dnapredict.data.files.digests import SecretError
from dnapredict.errors import StoreError
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.plan.trial_arms import arm_sequence

DAY = datetime.date(2026, 11, 30)
shares = st.sampled_from([Fraction(1, 20), Fraction(1, 10), Fraction(1, 5), Fraction(1, 3), Fraction(1, 2)])


def register(home: Path, day: datetime.date = DAY, **changes: object) -> TrialRegister:
    return TrialRegister(home, TrialConfig.model_validate(TRIAL | changes), day)


@given(st.binary(min_size=8, max_size=32), shares, st.integers(1, 400))
def test_a_stratum_is_never_more_than_three_patients_from_its_share(secret: bytes, share: Fraction, patients: int):
    drawn = list(islice(arm_sequence(secret, trial="Calls", stratum="risk_band=High", share=share), patients))
    excess = np.cumsum(drawn) - np.arange(1, patients + 1) * float(share)
    assert np.abs(excess).max() <= 3


@pytest.mark.parametrize("share", [Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)])
def test_who_knows_all_past_arms_tells_the_next_in_at_most_55_of_100(share: Fraction):
    # The best guess follows from the excess so far; it is learned from some strata and tried on others.
    rates, rows = {}, {}
    for part in (0, 1):
        drawn = []
        for stratum in range(400):
            name = f"{part} {stratum}"
            arms = list(islice(arm_sequence(b"secret", trial="Calls", stratum=name, share=share), 60))
            excess = np.concatenate([[0], np.cumsum(arms)[:-1]]) - np.arange(60) * float(share)
            drawn += list(zip(np.round(excess, 6).tolist(), arms, strict=True))
        rows[part] = drawn
    for excess, is_held_out in rows[0]:
        seen, held = rates.get(excess, (0, 0))
        rates[excess] = seen + 1, held + is_held_out
    guessed = [
        (held / seen if (seen, held) != (0, 0) else float(share))
        for seen, held in (rates.get(excess, (1, float(share))) for excess, _ in rows[1])
    ]
    truth = np.array([is_held_out for _, is_held_out in rows[1]])
    guess = np.array(guessed) > float(share)
    balanced = (guess[truth].mean() + (~guess[~truth]).mean()) / 2
    assert 0.5 <= balanced <= 0.55


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sets(st.integers(1, 40), min_size=1, max_size=15), min_size=1, max_size=5))
def test_a_patient_keeps_the_arm_over_lists_and_exports(tmp_path: Path, lists: list[set[int]]):
    home = tmp_path / secrets.token_hex(4)
    arms: dict[str, object] = {}
    for number, listed in enumerate(lists):
        patients = [str(each) for each in listed]
        places = register(home, DAY + datetime.timedelta(number))
        known = places.known(patients)
        known |= places.add({each: f"stratum {number}" for each in patients if each not in known})
        assert register(home).known(patients) == known
        for patient, place in known.items():
            assert arms.setdefault(patient, place) == place


def test_the_order_of_the_list_decides_nothing(tmp_path: Path):
    patients = [f"patient {number}" for number in range(50)]
    one = register(tmp_path / "one")
    one.add({})
    shutil.copytree(tmp_path / "one", tmp_path / "other")  # with the same secret
    first = one.add(dict.fromkeys(patients, ""))
    assert register(tmp_path / "other").add(dict.fromkeys(reversed(patients), "")) == first


def test_a_patient_is_known_whatever_a_spreadsheet_made_of_the_number(tmp_path: Path):
    place = register(tmp_path).add({"0005913": ""})["0005913"]
    assert register(tmp_path).known(["5913.0"]) == {"5913.0": place}


def test_the_register_holds_no_number_and_no_arm(tmp_path: Path):
    places = register(tmp_path)
    places.add({f"MARKED{number}": "" for number in range(20)})
    places.note(["MARKEDAPPOINTMENT"])
    with sqlite3.connect(places.path) as connection:
        written = "\n".join(connection.iterdump())
    assert not any(word in written for word in ("MARKED", "CONTROL", "TREATMENT"))
    assert [path.stat().st_mode & 0o777 for path in sorted(places.path.parent.iterdir())] == [0o600, 0o600]
    assert places.appointments(["MARKEDAPPOINTMENT", "another"]) == {"MARKEDAPPOINTMENT"}


def test_without_its_secret_nobody_can_tell_an_arm(tmp_path: Path):
    register(tmp_path).add({"p": ""})
    secret = tmp_path / "trial" / "arms.secret"
    kept = secret.read_text(encoding="utf-8")
    secret.unlink()
    with pytest.raises(SecretError, match=r"nobody can tell them without it\. Restore it from a backup"):
        register(tmp_path).known(["p"])
    secret.write_text("0" * 64, encoding="utf-8")
    with pytest.raises(SecretError, match="is another secret than the arms of the trial were drawn with"):
        register(tmp_path).known(["p"])
    secret.write_text(kept, encoding="utf-8")
    assert register(tmp_path).known(["p"])


def test_a_damaged_register_is_an_error_and_no_new_trial(tmp_path: Path):
    places = register(tmp_path)
    places.add({"p": ""})
    places.path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="the register of the trial cannot be used"):
        register(tmp_path).known(["p"])


def test_two_trials_share_no_arm_and_know_their_last_day(tmp_path: Path):
    assert register(tmp_path).last_day is None
    register(tmp_path).add({"p": ""})
    assert register(tmp_path, name="Another").known(["p"]) == {}
    assert register(tmp_path, name="Another").last_day is None
    assert register(tmp_path).last_day == DAY
