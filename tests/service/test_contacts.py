"""What the scoring log tells those who make lists: in order, from where they left off, on every host."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.service.test_log_databases import action, row

from dnapredict.data.files.digests import SecretError
from dnapredict.errors import StoreError
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.logged_contacts import LoggedContacts, logged_contacts
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.stated_opt_outs import StatedOptOuts

ROW = pa.table({"appointment_id": ["b"], "patient_id": ["p"], "clinic_code": ["ENT1"]})


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_database") if request.param == "postgresql" else None


@pytest.fixture
def log(database: str | None, tmp_path: Path) -> Iterator[ScoringLog]:
    log = ScoringLog(tmp_path, database)
    log.upgrade()
    yield log
    log.close()


def scored(log: ScoringLog, hashes: Hashes, appointment: str, patient: str, **values: Any) -> None:
    hashed = {"appointment": hashes.of("appointment", appointment), "patient": hashes.of("patient", patient)}
    log.write([row(**hashed, **values)])


def line(appointment: str) -> dict[str, Any]:
    return {"appointment_id": appointment, "clinic_code": "ENT1", "site_code": None}


def test_an_outcome_that_another_host_recorded_is_known_here_with_the_next_list(
    log: ScoringLog, database: str | None, tmp_path: Path
) -> None:
    """Two homes with one log: hosts that share a database, or a home and its copy."""
    here, there = tmp_path, tmp_path / "there"
    hashes = Hashes(here, log)
    scored(log, hashes, "a", "p")
    there.mkdir()
    (there / "scoring-log.secret").write_bytes((here / "scoring-log.secret").read_bytes())
    ledger = Ledger(there, LoggedContacts(log, Hashes(there, log)))
    assert not ledger.known(ROW).opted_out
    Actions(log, hashes, Ledger(here, LoggedContacts(log, hashes))).record("l", line("a"), Outcome.OPTED_OUT)
    assert ledger.known(ROW).opted_out == {0}
    assert Ledger(here).known(ROW).opted_out == {0}  # without the service, from the home alone
    again = logged_contacts(here, database)
    assert [contact.effect for contact in again.after(0, "")] == ["opted out"]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_has_its_effect(log: ScoringLog, tmp_path: Path, outcome: Outcome) -> None:
    hashes = Hashes(tmp_path, log)
    scored(log, hashes, "a", "p")
    Actions(log, hashes).record("l", line("a"), outcome)
    (contact,) = LoggedContacts(log, hashes).after(0, "")
    is_reached = contact.effect in ("reached", "rebooked", "opted out")
    assert is_reached is outcome.reached
    assert contact.patient == hashes.of("patient", "p")
    assert (contact.effect == "opted out") is (outcome is Outcome.OPTED_OUT)
    assert (contact.effect == "withdrawn") is (outcome is Outcome.WITHDRAWN)


def test_only_what_follows_is_read_also_where_the_rest_was_kept_long_enough(log: ScoringLog, tmp_path: Path) -> None:
    contacts = LoggedContacts(log, Hashes(tmp_path, log))
    log.write_action(action(outcome="confirmed"))
    (first,) = contacts.after(0, "")
    log.write_action(action(outcome="no_answer"))
    (second,) = contacts.after(first.number, first.seal)
    assert second.number > first.number
    assert list(contacts.after(second.number, second.seal)) == []
    assert log.remove_before(datetime.date(2026, 2, 1)) == 2
    assert list(contacts.after(second.number, second.seal)) == []
    log.write_action(action(outcome="confirmed"))
    assert len(list(contacts.after(first.number, first.seal))) == 1


def test_a_log_that_was_replaced_is_read_from_its_beginning(log: ScoringLog, tmp_path: Path) -> None:
    actions, contacts = Actions(log, Hashes(tmp_path, log)), LoggedContacts(log, Hashes(tmp_path, log))
    for appointment in ("a", "b", "c"):
        actions.record("l", line(appointment), Outcome.CONFIRMED)
    assert len(list(contacts.after(2, "the seal of another log"))) == 3
    assert len(list(contacts.after(4_000, "the seal of another log"))) == 3


def test_a_host_with_another_secret_is_refused(log: ScoringLog, tmp_path: Path) -> None:
    Hashes(tmp_path, log).of("appointment", "a")
    there = tmp_path / "there"
    with pytest.raises(SecretError, match="copy it from another host"):
        Hashes(there, log).of("appointment", "a")


def test_a_secret_is_not_made_anew_for_a_log_that_has_entries(log: ScoringLog, tmp_path: Path) -> None:
    log.write([row()])
    with pytest.raises(SecretError, match="is missing, and the entries of the scoring log"):
        Hashes(tmp_path, log).of("appointment", "a")
    assert not (tmp_path / "scoring-log.secret").exists()


def test_an_emptied_log_is_not_begun_anew(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row()])
    log.close()
    (tmp_path / "scoring-log.db").write_bytes(b"")
    with pytest.raises(StoreError, match=r"the scoring log is empty.*Restore it from a backup"):
        ScoringLog(tmp_path).write([row()])


def test_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    log = ScoringLog(home)
    log.write([row()])
    Hashes(home, ScoringLog(tmp_path)).of("appointment", "a")
    assert [path.stat().st_mode & 0o077 for path in (home, *home.rglob("*"))] == [0] * (1 + len(list(home.rglob("*"))))


def test_a_mistake_that_is_taken_back_twice_leaves_the_patients_wish(log: ScoringLog, tmp_path: Path) -> None:
    hashes = Hashes(tmp_path, log)
    for appointment in ("a", "b"):
        scored(log, hashes, appointment, "p")
    ledger = Ledger(tmp_path, LoggedContacts(log, hashes))
    actions = Actions(log, hashes, ledger)
    actions.record("l", line("a"), Outcome.OPTED_OUT)
    seen = actions.record("l", line("b"), Outcome.NO_ANSWER).at.isoformat()
    first = actions.record("l", line("b"), Outcome.WITHDRAWN, seen=seen)
    stale = actions.record("l", line("b"), Outcome.WITHDRAWN, seen=seen)  # a tab that was left open
    assert stale == first
    assert actions.record("l", line("b"), Outcome.WITHDRAWN) == first
    assert ledger.known(ROW).opted_out == {0}


def test_a_wish_is_known_of_appointments_that_were_scored_before_it(log: ScoringLog, tmp_path: Path) -> None:
    hashes = Hashes(tmp_path, log)
    for appointment, patient in (("a", "p"), ("b", " p "), ("c", "q")):
        scored(log, hashes, appointment, patient)
    ledger = Ledger(tmp_path, LoggedContacts(log, hashes))
    ledger.plan("file", (), listed=[("d", "p")])
    actions = Actions(log, hashes, ledger)
    everywhere = ["a", "b", "c", "d", "e"]
    assert actions.opted_out(everywhere) == frozenset()
    actions.record("l", line("a"), Outcome.OPTED_OUT)
    assert actions.opted_out(everywhere) == {"a", "b", "d"}
    assert [actions.opted_out([each]) for each in everywhere] == [{"a"}, {"b"}, frozenset(), {"d"}, frozenset()]
    actions.record("l", line("a"), Outcome.WITHDRAWN)
    assert actions.opted_out(everywhere) == frozenset()


def test_a_wish_to_be_called_again_that_was_killed_half_way_is_completed_when_it_is_recorded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is in the log, and the opt-out that a list stated is still there."""
    log = ScoringLog(tmp_path)
    log.upgrade()
    hashes = Hashes(tmp_path, log)
    scored(log, hashes, "b", "p")
    ledger = Ledger(tmp_path, LoggedContacts(log, hashes))
    ledger.stated.remember(ROW.append_column("opt_out", pa.array([True])))
    actions = Actions(log, hashes, ledger)

    class Killed(BaseException):
        """The process ends here."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(StatedOptOuts, "take_back", die)
        with pytest.raises(Killed):
            actions.record("l", line("b"), Outcome.CALLS_WISHED)
    assert len(ledger.stated.patients()) == 1
    actions.record("l", line("b"), Outcome.CALLS_WISHED)
    assert not ledger.stated.patients()
    assert len(actions.entries(["b"])["b"]) == 1
    log.close()
