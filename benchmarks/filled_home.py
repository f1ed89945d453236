"""Fill a home that has a champion and a history with everything else that a home can hold.

`fill` writes through the functions and verbs that write each file in use: keys, sign-in, lists with contact details,
calls that are recorded in the scoring log, outcomes, a trial, a weekly monitor report.
"""

import contextlib
import csv
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.config.loading import shipped
from dnapredict.config.mapping_config import IDENTITY
from dnapredict.data.files.atomic_write import write_private
from dnapredict.pipeline.routine.cycle_record import CycleRecord
from dnapredict.service.api import pending_uploads
from dnapredict.service.api.team_mappings import TeamMappings
from dnapredict.service.auth import api_keys, permissions, sign_in_links
from dnapredict.service.auth.openid_people import OpenIdPeople
from dnapredict.service.auth.staff import Person, StaffRole
from dnapredict.worklist.calls import assignments
from dnapredict.worklist.calls.call_locks import CallLocks
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.files import contact_details, list_store, unscored_rows
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.plan.benefit_ranking import write_benefit_model
from dnapredict.worklist.plan.working_days import local_today

Command = Callable[..., object]
"""`dnapredict` with these words; raises where it does not exit with 0."""


def fill(home: Path, *, extract: Path, weekly: Path, place: Path, command: Command) -> str:
    """Fill `home`; return the token of a key. `place` takes what verbs write outside the home."""
    token = sign_in(home)
    with trial_of(place, home, command):
        command("score", weekly, "--out", place / "worklist.csv", "--home", home, "--capacity", 20)
    filled = with_outcomes(place / "worklist.csv", place / "filled.csv")
    command("log", "record", filled, "--list", list_store.headings(home)[0].list_id, "--home", home)
    beside_the_list(home, weekly)
    command("outcomes", extract, "--home", home)
    command("monitor", extract, "--home", home, "--out", home / "reports" / "monitor")
    return token


def sign_in(home: Path) -> str:
    """Keys, a link, an ended session, and a person of the trust's issuer."""
    token = api_keys.create(home, name="clinic", scopes=tuple(permissions.KeyScope)).token
    personal = api_keys.create_personal(home, name="A. Clerk", team="North", role=StaffRole.CLERK)
    sign_in_links.create(home, personal.key.key_id)
    ring = api_keys.KeyRing(home)
    ring.end_session(ring.session(personal.key))
    people = OpenIdPeople(home)
    people.end_session(people.start_session(people.note(Person("openid:1", "B. Lead", "North", StaffRole.CLERK))))
    return token


@contextlib.contextmanager
def trial_of(place: Path, home: Path, command: Command) -> Iterator[None]:
    """A registered trial, in whose folder dnapredict runs meanwhile."""
    text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    start = text.index("# [trial]")
    example, rest = text[start:].split("\n\n", maxsplit=1)
    today = local_today()
    trial = example.replace("# ", "", 1).replace("\n# ", "\n").replace("2027-01-04", today.isoformat())
    trial = trial.replace("2027-06-27", (today + datetime.timedelta(days=100)).isoformat())
    (place / "serving").mkdir()
    (place / "serving" / "worklist.toml").write_text(f"{text[:start]}{trial}\n\n{rest}", encoding="utf-8")
    before = Path.cwd()
    os.chdir(place)
    try:
        command("trial", "plan", "--home", home)
        yield
    finally:
        os.chdir(before)
    model = BenefitModel(trial="t", appointments=0, knots=(0.2, 0.5), in_person=(0.0, 0.1), remote=(0.0, 0.0))
    write_benefit_model(model, home / "trial" / "benefit.json")


def with_outcomes(worklist: Path, out: Path, *, selected: bool = True) -> Path:
    """The worklist with an outcome of each planned call, or of the first calls that nobody planned.

    The first of these patients opts out.
    """
    with worklist.open(encoding="utf-8", newline="") as file:
        called = [row["appointment_id"] for row in csv.DictReader(file) if row["selected"] == str(selected).lower()][
            :20
        ]
    outcomes = ["no_calls_wished", *["confirmed"] * (len(called) - 1)]
    with out.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file)
        written.writerows([("appointment_id", "outcome"), *zip(called, outcomes, strict=True)])
    return out


def beside_the_list(home: Path, weekly: Path, *, row: int = 1) -> None:
    """What the page keeps about a list: contact details, unscored rows, assignments, locks, opt-outs, a mapping.

    Called again with another `row`, it changes each of them.
    """
    list_id = list_store.headings(home)[0].list_id
    until = local_today() + datetime.timedelta(days=30)
    contact_details.keep(
        home,
        list_id,
        {1: ContactDetails(name="Zebra Made-Up", telephones=("07700 900000",), kinds=("mobile_telephone",))},
        until,
    )
    contact_details.set_note(home, list_id, row, "Prefers mornings", until=until)
    rows = {row: {"appointment_id": "A1", "starts_at": "never"}}
    unscored = unscored_rows.UnscoredRows(("appointment_id", "starts_at"), rows, IDENTITY)
    unscored_rows.keep(home, list_id, unscored)
    now = datetime.datetime.now(datetime.UTC)
    assignments.assign(home, list_id, assignments.Assignment(to="A. Clerk", by="B. Lead", at=now, lines=(row, row + 1)))
    CallLocks(home).take("0" * 64, caller="session", key_id="12345678")
    listed = pq.read_table(weekly, columns=["patient_id"]).slice(0, 40)
    out = pa.array([number < row for number in range(listed.num_rows)])
    Ledger(home).stated.remember(listed.append_column("opt_out", out))
    columns = ("Appt", f"Clinic time {row}")
    TeamMappings(home).remember("North", columns, {"appointment_id": {"from": "Appt"}})
    pending_uploads.keep(home, pending_uploads.PendingUpload("week.csv", b"a,b\n1,2\n"))
    write_private(home / "cycle" / ("0" * 16) / "steps.json", CycleRecord(extract="extract.parquet").model_dump_json())
