"""Ways to bring a model into use that failed its audit or was rejected, and how each is refused.

Whoever tries them can read and write every file of the home, but signs in nobody else's name. After each, `promote` refuses
the version, and so do `score` and `serve`, which ask the same ledger.
"""

import datetime
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.registry_homes import copy_of

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import ModelSettings, Setting
from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import DnapredictError, GateFailedError
from dnapredict.pipeline import audit_source
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.registry import CHAMPION, MODEL_NAME, Registry, decision_ledger
from dnapredict.synthetic.simulation import simulate

ALLOWED = "ALLOWED"
QUICK = ModelSettings(max_rounds=60, patience=20, learning_rate=0.2)
SHIPPED = load(shipped("fairness/policy.toml"), Policy)
# Which numbers a report hides is not asked here, and to find them takes half of the time of an audit.
POLICY = SHIPPED.model_copy(update={"disclosure": SHIPPED.disclosure.model_copy(update={"suppress_below": 0})})


def with_known(policy: Policy, fail_known: float) -> Policy:
    """A policy under which an audit fails where the ethnic group of a smaller share is known."""
    records = policy.limits.records.model_copy(update={"fail_known": fail_known})
    return policy.model_copy(update={"limits": policy.limits.model_copy(update={"records": records})})


STRICT = with_known(POLICY, 0.85)  # of the made-up patients it is known for 77 in 100


@dataclass
class World:
    """A home with version 1, its extract, and the policy of its audits."""

    home: Path
    extract: Path
    place: Path
    setting: Setting
    policy: Policy = POLICY
    reports: list[Path] = field(default_factory=list)
    failed: "World | None" = None

    @property
    def table(self) -> pa.Table:
        """The extract that version 1 was trained on."""
        return pq.read_table(self.extract)

    def audit(self, table: pa.Table | None = None, *, version: str = "1", previous: Path | None = None) -> str:
        """Audit a version on these rows, by default on all; the sentence about the records."""
        number = len(self.reports) + 1
        extract, out = self.place / f"extract-{number}.parquet", self.place / f"report-{number}"
        pq.write_table(self.table if table is None else table, extract)
        done = pipeline.audit(
            extract,
            out=out,
            setting=self.setting,
            policy=self.policy,
            home=self.home,
            model=version,
            previous=previous,
        )
        self.reports.append(out)
        return done.result.gate("G0").sentence

    def fail(self) -> None:
        """Audit version 1 by a policy under which it fails: too few people's ethnic group is known.

        The audit was made once for all tests; each has a copy of its home and report.
        """
        assert self.failed is not None
        self.policy = STRICT
        self.home = copy_of(self.failed.home, self.place / "failed-home")
        report = self.place / self.failed.reports[-1].name
        self.reports.append(Path(shutil.copytree(self.failed.reports[-1], report)))

    def sign(self, decision: str = "conditions", *, name: str = "A. Reviewer", **more: object) -> None:
        """Sign the last report."""
        until = {"until": clock_at(30)().date()} if decision == "conditions" else {}
        said = {"name": name, "role": "Equality lead", "reason": "Read by the panel.", **until, **more}
        pipeline.sign(self.reports[-1], home=self.home, decision=decision, **said)

    def use(self, version: str = "1") -> str:
        """Promote the version and open a list with it: ALLOWED, or the sentence of the refusal."""
        try:
            Registry(self.home).promote(version)
            pipeline.open_scorer(self.home)
        except DnapredictError as error:
            return str(error)
        return ALLOWED

    def use_only(self) -> str:
        """Open a list with the champion: ALLOWED, or the sentence of the refusal."""
        try:
            pipeline.open_scorer(self.home)
        except DnapredictError as error:
            return str(error)
        return ALLOWED


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    place = tmp_path_factory.mktemp("laundering")
    extract, setting = place / "extract.parquet", Setting()
    setting = Setting(setting.mapping, setting.training.model_copy(update={"model": QUICK}))
    simulate(extract, appointments=24_000, seed=3)
    pipeline.train(extract, home=place / "home", setting=setting, say=lambda _: None)
    return World(place / "home", extract, place, setting)


@pytest.fixture(scope="module")
def failed(trained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A home in which version 1 failed its audit."""
    place = tmp_path_factory.mktemp("failed")
    failed = World(copy_of(trained.home, place / "home"), trained.extract, place, trained.setting, policy=STRICT)
    failed.audit()
    return failed


@pytest.fixture
def world(trained: World, failed: World, tmp_path: Path) -> World:
    """A home of its own, in which version 1 was trained and nothing else was done."""
    home = copy_of(trained.home, tmp_path / "home")
    return World(home, trained.extract, tmp_path, trained.setting, failed=failed)


def with_column(table: pa.Table, name: str, values: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def is_missed(table: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(pc.is_in(table["outcome_code"], pa.array(["3", "7"])), False)


def is_core20(table: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(pc.less_equal(table["imd_decile"], 2), False)


def core20_missed(table: pa.Table, *, one_in: int = 1) -> pa.ChunkedArray:
    """Missed appointments of people in the most deprived areas, or every n-th row of them."""
    some = pa.array(np.arange(len(table)) % one_in == 0)
    return pc.and_(pc.and_(is_missed(table), is_core20(table)), some)


def labelled_days(table: pa.Table) -> np.ndarray:
    return table.filter(pc.is_valid(table["outcome_code"]))["starts_at"].to_numpy()


# What somebody audits in place of the rows that the model was tested on.


def all_rows(world: World) -> pa.Table:
    return world.table


def fortnight(world: World) -> pa.Table:
    since = labelled_days(world.table).max() - np.timedelta64(14, "D")
    return world.table.filter(pa.array(world.table["starts_at"].to_numpy() >= since))


def without_missed_of_core20(world: World) -> pa.Table:
    return world.table.filter(pc.invert(core20_missed(world.table)))


def without_a_third_of_them(world: World) -> pa.Table:
    return world.table.filter(pc.invert(core20_missed(world.table, one_in=3)))


def recorded_as_attended(world: World) -> pa.Table:
    codes = pc.if_else(core20_missed(world.table, one_in=3), "5", world.table["outcome_code"])
    return with_column(world.table, "outcome_code", codes)


def cancelled_instead(world: World) -> pa.Table:
    codes = pc.if_else(core20_missed(world.table, one_in=3), "2", world.table["outcome_code"])
    return with_column(world.table, "outcome_code", codes)


def attended_added(world: World) -> pa.Table:
    table = world.table
    attended = pc.and_(pc.equal(table["outcome_code"], "5"), is_core20(table))
    extra = table.filter(pc.fill_null(pc.and_(attended, pa.array(np.arange(len(table)) % 4 == 0)), False))
    names = pc.binary_join_element_wise(extra["appointment_id"], "copy", "-")
    return pa.concat_tables([table, with_column(extra, "appointment_id", names)])


def other_deciles(world: World) -> pa.Table:
    deciles = pc.if_else(
        core20_missed(world.table, one_in=3), pa.scalar(9, world.table["imd_decile"].type), world.table["imd_decile"]
    )
    return with_column(world.table, "imd_decile", deciles)


def cancelled_now_attended(world: World) -> pa.Table:
    table = world.table
    cancelled = pc.and_(pc.is_in(table["outcome_code"], pa.array(["2", "4"])), is_core20(table))
    return with_column(table, "outcome_code", pc.if_else(cancelled, "5", table["outcome_code"]))


def other_numbers(world: World) -> pa.Table:
    names = pc.binary_join_element_wise(world.table["appointment_id"], "x", "-")
    return with_column(world.table, "appointment_id", names)


def other_days(world: World) -> pa.Table:
    table = world.table
    for name in ("booked_at", "starts_at", "recorded_at"):
        table = with_column(table, name, pc.subtract(table[name], pa.scalar(datetime.timedelta(days=2))))
    return table


def exchanged(table: pa.Table, name: str) -> pa.Table:
    """A column of the tested appointments dealt out anew, among the missed and among the attended: all counts stay."""
    tested = table["starts_at"].to_numpy() > np.quantile(labelled_days(table).astype("int64"), 0.81).astype("M8[us]")
    order, random = np.arange(len(table)), np.random.default_rng(5)
    for outcome in ("3", "5"):
        rows = np.flatnonzero(tested & pc.fill_null(pc.equal(table["outcome_code"], outcome), False).to_numpy())
        order[rows] = random.permutation(rows)
    return with_column(table, name, table[name].take(pa.array(order)))


def ethnic_groups_exchanged(world: World) -> pa.Table:
    return exchanged(world.table, "ethnic_category_code")


def deciles_exchanged(world: World) -> pa.Table:
    return exchanged(world.table, "imd_decile")


def ethnicity_recorded_since(world: World) -> pa.Table:
    """What a trust does that asks its patients: two in three of the unknown are known by now."""
    codes = world.table["ethnic_category_code"]
    unknown = pc.fill_null(pc.is_in(codes, pa.array(["Z", "99", "X"])), True)
    asked = pc.and_(unknown, pa.array(np.arange(len(codes)) % 3 > 0))
    return with_column(world.table, "ethnic_category_code", pc.if_else(asked, "A", codes))


def a_few_corrected(world: World) -> pa.Table:
    """One appointment in a hundred was found to be attended after all."""
    some = pa.array(np.arange(len(world.table)) % 100 == 0)
    codes = world.table["outcome_code"]
    return with_column(world.table, "outcome_code", pc.if_else(pc.and_(some, is_missed(world.table)), "5", codes))


AUDITED = """
    what is audited                                           | records | because
    ----------------------------------------------------------+---------+-------------------------------------------
    all rows                                                  | kept    |
    ethnicity recorded since                                  | kept    |
    a few corrected                                           | kept    |
    fortnight                                                 | FAIL    | at least 98 are needed
    without missed of core20                                  | FAIL    | too few are left of the missed appointments
    without a third of them                                   | FAIL    | too few are left of the missed appointments
    recorded as attended                                      | FAIL    | too few are left of the missed appointments
    cancelled instead                                         | FAIL    | too few are left of the missed appointments
    attended added                                            | FAIL    | not there when the model was trained
    other deciles                                             | FAIL    | too few are left of the missed appointments
    ethnic groups exchanged                                   | FAIL    | to another group and replaced by others
    deciles exchanged                                         | FAIL    | to another group and replaced by others
    cancelled now attended                                    | FAIL    | were cancelled, on another day
    other numbers                                             | FAIL    | at least 98 are needed
    other days                                                | FAIL    | have another day now
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[2:]]


@pytest.mark.cases(5)
@pytest.mark.parametrize(("rows", "records", "because"), lines(AUDITED))
def test_an_audit_of_fewer_other_or_edited_appointments_fails_by_its_records(world, rows, records, because):
    edited: Callable[[World], pa.Table] = globals()[rows.replace(" ", "_")]
    sentence = world.audit(edited(world))
    figures = json.loads((world.reports[-1] / "audit.json").read_text())
    gate = next(gate for gate in figures["gates"] if gate["code"] == "G0")
    assert (gate["verdict"] == "FAIL", because in sentence) == (records == "FAIL", True), sentence
    assert "coverage" not in figures["context"]
    if records == "FAIL":
        assert "a fairness gate failed" in world.use()


# What somebody does who has seen the verdict. Each returns what the last step said, where it was refused at once.


def audit_again_into_a_new_folder_after_a_reject(world: World) -> None:
    world.audit()
    world.sign("reject")
    world.audit()


def approve_a_fortnight_after_a_reject(world: World) -> None:
    world.audit()
    world.sign("reject")
    world.audit(fortnight(world))
    world.sign("approve")


def ask_patients_and_audit_again(world: World) -> None:
    """What a trust should do: the same appointments, of which the ethnic group was asked since. It lifts the failure."""
    world.fail()
    world.audit(ethnicity_recorded_since(world))
    world.sign("approve")


def audit_other_rows_after_a_fail(world: World) -> None:
    world.fail()
    last, known = labelled_days(world.table).max() - np.timedelta64(3, "D"), ethnicity_recorded_since(world)
    world.audit(known.filter(pa.array(known["starts_at"].to_numpy() < last)))
    world.sign("approve")


def edit_the_signature_file(world: World) -> None:
    world.audit()
    world.sign("reject")
    for path in [*world.home.rglob("signature.json"), *world.place.rglob("signature.json")]:
        path.write_text(path.read_text().replace('"reject"', '"approve"'))


def make_up_the_previous_report(world: World) -> None:
    world.fail()
    made_up = Path(shutil.copytree(world.reports[0], world.place / "made-up"))
    figures = json.loads((made_up / "audit.json").read_text())
    figures["policy"]["limits"]["records"]["fail_known"] = 0.75
    (made_up / "audit.json").write_text(json.dumps(figures))
    world.policy = POLICY
    world.audit(previous=made_up)


def audit_by_a_laxer_limit(world: World) -> None:
    world.fail()
    world.policy = POLICY
    world.audit()


def agree_to_a_laxer_limit_alone(world: World) -> None:
    world.fail()
    told = {"limit": "limits.records.fail_known", "was": 0.85, "now": 0.75, "on": "2026-01-01", "by": "A. Name"}
    change = {**told, "seconded_by": "B. Name", "why": "It was too strict for us."}
    world.policy = Policy.model_validate(POLICY.model_dump() | {"changes": [change]})
    world.audit()
    world.sign("approve")


def audit_for_capacity_planning(world: World) -> None:
    world.policy = world.policy.model_copy(update={"use": "capacity planning"})
    world.audit()
    world.sign("approve")


def change_the_use_to_capacity_planning(world: World) -> None:
    world.fail()
    audit_for_capacity_planning(world)


def audit_by_rounder_counts(world: World) -> None:
    """A FAIL must hold on rounded counts too, so that counts in hundreds turn one of a small group."""
    world.fail()
    world.policy = STRICT.model_copy(update={"disclosure": STRICT.disclosure.model_copy(update={"round_to": 100})})
    world.audit(ethnicity_recorded_since(world))


def sign_as_xx(world: World) -> None:
    world.fail()
    world.sign(name="xx")


def sign_nothing(world: World) -> None:
    world.audit()


def name_the_champion_in_mlflow(world: World) -> None:
    import mlflow

    world.fail()
    address = f"sqlite:///{world.home / 'mlflow.db'}"
    client = mlflow.MlflowClient(address, address)
    client.set_model_version_tag(MODEL_NAME, "1", "audit_verdict", "PASS")
    client.set_registered_model_alias(MODEL_NAME, CHAMPION, "1")
    pipeline.open_scorer(world.home)


def edit_a_table_of_the_report(world: World) -> None:
    world.audit()
    world.sign("approve")
    kept = Registry(world.home).report("1")
    table = min(kept.glob("*.csv"))
    table.write_text(table.read_text() + "\n")


def edit_a_table_before_signing(world: World) -> None:
    world.audit()
    table = min(world.reports[-1].glob("*.csv"))
    table.write_text(table.read_text() + "\n")
    world.sign("approve")


def turn_the_clock_back(world: World) -> None:
    world.fail()
    world.sign(until=clock_at(1)().date())
    Registry(world.home).promote("1")
    for days in (16, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decision_ledger, "utc_now", clock_at(days))
            if days:
                assert "is not used: the conditions that A. Reviewer" in world.use_only()
    pipeline.open_scorer(world.home)


def clock_at(days: int) -> Callable[[], datetime.datetime]:
    return lambda: datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def put_back_an_older_backup(world: World) -> None:
    world.audit()
    world.sign("approve")
    Registry(world.home).promote("1")
    backup = Path(shutil.copytree(world.home, world.place / "backup"))
    world.audit()
    world.sign("reject")
    for name in ("decisions", "mlruns"):
        shutil.rmtree(world.home / name)
        shutil.copytree(backup / name, world.home / name)
    for path in world.home.glob("mlflow.db*"):
        path.unlink()
    shutil.copy(backup / "mlflow.db", world.home / "mlflow.db")


def restart(world: World) -> None:
    """As in a new process: MLflow keeps the database open that this one began with."""
    world.home = copy_of(world.home, world.place / "restarted")


def put_back_an_older_backup_of_both(world: World) -> None:
    put_back_an_older_backup(world)
    restart(world)


def put_back_an_older_backup_without_the_head(world: World) -> None:
    put_back_an_older_backup(world)
    (world.home / "tested" / "decisions.head").unlink()
    restart(world)


def remove_what_the_failed_audit_was_made_of(world: World) -> None:
    world.fail()
    shutil.rmtree(world.home / "tested" / "audits")
    known = ethnicity_recorded_since(world)
    attended = known.filter(pc.is_in(known["outcome_code"], pa.array(["5", "6"])))["starts_at"].to_numpy()
    # Without one attended appointment it is another set; one that is the same is kept anew, and lifts the failure.
    world.audit(known.filter(pa.array(known["starts_at"].to_numpy() != attended.max())))
    world.sign("approve")


def remove_what_the_training_kept(world: World) -> None:
    shutil.rmtree(world.home / "tested" / "coverage")
    world.audit(fortnight(world))


def train_on_shifted_dates(world: World) -> None:
    """Version 2 learned from later rows, dated two months earlier, and is tested on what it has seen."""
    table = world.table
    for name in ("booked_at", "starts_at", "recorded_at"):
        table = with_column(table, name, pc.subtract(table[name], pa.scalar(datetime.timedelta(days=60))))
    extract = world.place / "shifted.parquet"
    pq.write_table(table, extract)
    pipeline.train(extract, home=world.home, setting=world.setting, say=lambda _: None)
    world.audit(version="2")
    world.sign("approve")


def mlflow_client(world: World):
    import mlflow

    address = f"sqlite:///{world.home / 'mlflow.db'}"
    return mlflow.MlflowClient(address, address)


def remove_the_ledger_and_let_mlflow_tell(world: World) -> None:
    """A home without a ledger is taken for one of an earlier release, whose decisions were tags in MLflow."""
    world.fail()
    shutil.rmtree(world.home / "decisions")
    (world.home / "tested" / "decisions.head").unlink()
    client = mlflow_client(world)
    client.delete_registered_model_tag(MODEL_NAME, "decisions")
    client.set_model_version_tag(MODEL_NAME, "1", "audit_verdict", "PASS")


def register_an_edited_copy_in_mlflow(world: World) -> None:
    """Other files are another model, and nobody kept which appointments it was tested on."""
    world.fail()
    client = mlflow_client(world)
    record = client.get_model_version(MODEL_NAME, "1")
    model = record.source.rpartition("/")[2]
    models = world.home / "mlruns" / "models"
    copy = Path(shutil.copytree(models / model, models / "m-copy"))
    manifest = next(copy.rglob("manifest.json"))
    described = json.loads(manifest.read_text())
    name = min(name for name in described["files"] if name.endswith(".json"))
    changed = manifest.parent / name
    changed.write_text(changed.read_text() + "\n")
    described["files"][name] = file_sha256(changed)
    manifest.write_text(json.dumps(described))
    tags = record.tags | {"manifest_sha256": file_sha256(manifest)}
    client.create_model_version(MODEL_NAME, str(copy), record.run_id, tags=tags)
    world.audit(fortnight(world), version="2")


def sign_with_an_invisible_reason(world: World) -> None:
    world.fail()
    world.sign(reason="\u200b\u2060\u200b")


def sign_with_dots_for_a_reason(world: World) -> None:
    world.fail()
    world.sign(reason="...")


DONE = """
    what somebody does                         | refused, because
    -------------------------------------------+-----------------------------------------------------------------
    ask patients and audit again               | ALLOWED
    sign nothing                               | its report is not signed
    audit again into a new folder after a reject | A. Reviewer (Equality lead) rejected it
    approve a fortnight after a reject         | This report failed
    audit other rows after a fail              | This report failed
    edit the signature file                    | A. Reviewer (Equality lead) rejected it
    make up the previous report                | 'limits.records.fail_known' was 0.85 at the last audit
    audit by a laxer limit                     | 'limits.records.fail_known' was 0.85 at the last audit
    agree to a laxer limit alone               | failed the audit of
    audit for capacity planning                | was never audited for lists of patients
    change the use to capacity planning        | 'use' was 'supportive contact' at the last audit
    audit by rounder counts                    | 'disclosure.round_to' was 5 at the last audit
    sign as xx                                 | 'xx' is no name of a person
    name the champion in mlflow                | which was never put in use
    edit a table of the report                 | is not the file that was signed
    edit a table before signing                | is not the file that was audited
    turn the clock back                        | is not used: the conditions that A. Reviewer (Equality lead) signed ended
    put back an older backup of both           | it is an older copy
    put back an older backup without the head  | is not recorded in
    remove what the failed audit was made of   | failed the audit of
    remove what the training kept              | is missing or was changed
    train on shifted dates                     | This report failed
    remove the ledger and let mlflow tell      | is missing
    register an edited copy in mlflow          | was not trained in this home
    sign with an invisible reason              | Wrong: reason
    sign with dots for a reason                | Wrong: reason
"""


@pytest.mark.cases(5)
@pytest.mark.parametrize(("deed", "because"), lines(DONE))
def test_no_deed_brings_a_version_into_use_that_failed_or_was_rejected(world, deed, because):
    act: Callable[[World], None] = globals()[deed.replace(" ", "_")]
    try:
        act(world)
        said = world.use()
    except DnapredictError as error:
        said = str(error)
        assert world.use() != ALLOWED
    assert because in said


def test_a_report_says_how_many_other_models_were_tried_and_how_many_of_them_failed(world):
    """Whoever trains with one seed after another until an audit passes is seen to have done so."""
    world.fail()
    assert "other model" not in (world.reports[-1] / "report.html").read_text()
    training = world.setting.training.model_copy(update={"seed": world.setting.training.seed + 1})
    setting = Setting(world.setting.mapping, training)
    pipeline.train(world.extract, home=world.home, setting=setting, say=lambda _: None)
    world.audit(version="2")
    said = "1 other model was audited in this home; 1 of them failed the audit or was rejected."
    assert said in (world.reports[-1] / "report.html").read_text()


def test_lists_with_fewer_calls_than_were_audited_say_that_the_audit_is_not_about_them(world, monkeypatch):
    """With calls for four in ten nearly every group is reached; lists for one in ten were not audited by that."""
    generous = worklist_config().model_copy(update={"capacity_share": 0.4})
    with monkeypatch.context() as patch:
        patch.setattr(audit_source, "worklist_config", lambda *_: generous)
        world.audit()
    world.sign("conditions")
    assert world.use() == ALLOWED
    (notice,) = pipeline.open_scorer(world.home).notices
    assert "was about another number of calls" in notice
    world.audit()
    world.sign("conditions")
    assert pipeline.open_scorer(world.home).notices == ()


def test_lists_by_the_rules_of_a_failed_audit_are_refused_although_one_by_other_rules_did_not_fail(world, monkeypatch):
    generous = worklist_config().model_copy(update={"capacity_share": 0.4})
    world.policy = STRICT
    with monkeypatch.context() as patch:
        patch.setattr(audit_source, "worklist_config", lambda *_: generous)
        world.audit()
    world.audit(ethnicity_recorded_since(world))
    world.sign("approve")
    assert world.use() == ALLOWED
    with pytest.raises(GateFailedError, match="was not audited again by the rules of these lists"):
        pipeline.open_scorer(world.home, worklist=generous)
