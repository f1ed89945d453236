"""Several trusts and several products, from extracts to pages: what is written, and what the order of rows changes."""

import datetime
import functools
import json
import operator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.audit_worlds import OddWorld, World
from benchmarks.planted_worlds import PlantedWorld
from tests.plain_words import BANNED
from tests.property.test_audit_pool import provenance

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import IDENTITY
from dnapredict.config.training_config import Setting
from dnapredict.errors import UsageError
from dnapredict.fairness import AuditData, ReportContext, Verdict
from dnapredict.fairness.measure.audit_counts import AuditCounts, count
from dnapredict.fairness.pooling.counts_file import TrustCounts
from dnapredict.fairness.pooling.pooled_audit import audit_pool, pool_context
from dnapredict.fairness.run_audit import evidence_of, judge_gates

POLICY = load(shipped("fairness/policy.toml"), Policy)
SETTING = Setting(mapping=IDENTITY, config=None)
ROWS = 3_000


def extract(folder: Path, name: str, *, seed: int = 1) -> Path:
    path = folder / f"{name}.parquet"
    table = OddWorld(ROWS, ROWS // 8, seed, patients=1_500, days=200).extract()
    ids = pa.array([f"{name}-{value}" for value in table["appointment_id"].to_pylist()])
    pq.write_table(table.set_column(0, "appointment_id", ids), path)
    return path


def scores(folder: Path, of: Path, kind: str) -> Path:
    """A product's scores of every appointment of an extract."""
    table = pq.read_table(of)
    missed = np.isin(table["outcome_code"].to_numpy(zero_copy_only=False), ["3", "7"])
    random = np.random.default_rng(5)
    noise = random.random(len(missed))
    risk = {
        "honest": np.clip(0.05 + 0.06 * missed + 0.15 * noise, 0, 1),
        "constant": np.full(len(missed), 0.125),
        "tenths": np.round(np.clip(0.05 + 0.06 * missed + 0.15 * noise, 0, 1), 1),
        "leak": np.where(missed, 0.6 + 0.3 * noise, 0.1 + 0.3 * noise),
    }[kind]
    path = folder / f"{kind}.parquet"
    pq.write_table(pa.table({"appointment_id": table["appointment_id"], "probability": risk}), path)
    return path


def products(folder: Path, out: str, kinds: tuple[str, ...], *, of: Path) -> dict[str, dict]:
    return compared(folder, out, [scores(folder, of, kind) for kind in kinds], of=of)


def compared(folder: Path, out: str, given: list[Path], *, of: Path) -> dict[str, dict]:
    pipeline.compare_products(of, given, out=folder / out, setting=SETTING, policy=POLICY, home=folder / f"home-{out}")
    found = json.loads((folder / out / "products.json").read_text())["products"]
    return {one["name"]: one for one in found}


def test_products_stand_side_by_side_each_with_its_own_report(tmp_path: Path):
    of = extract(tmp_path, "trust")
    found = products(tmp_path, "report", ("honest", "constant", "tenths", "leak"), of=of)
    page = (tmp_path / "report" / "report.html").read_text()
    assert not [word for word in BANNED if word in page.casefold()]
    for name, one in found.items():
        own = json.loads((tmp_path / "report" / one["figures"]).read_text())
        assert own["verdict"] == one["verdict"]
        assert own["context"]["model_version"] == f"scores of {name}.parquet"
        assert one["report"] in page
    assert "tell everyone who missed from everyone who came" in " ".join(found["leak"]["notes"])
    assert "The risks hardly tell those who miss from those who come." in found["constant"]["notes"]
    assert found["honest"]["tied"] == 0
    assert found["constant"]["tied"] == 1
    assert found["tenths"]["tied"] > 0.5


def test_the_order_of_rows_decides_nothing_where_risks_are_equal(tmp_path: Path):
    of = extract(tmp_path, "trust")
    given = [scores(tmp_path, of, kind) for kind in ("constant", "tenths")]
    first = compared(tmp_path, "one", given, of=of)
    table = pq.read_table(of)
    pq.write_table(table.take(np.random.default_rng(3).permutation(table.num_rows)), of)
    assert compared(tmp_path, "other", given, of=of) == first


def test_two_products_of_one_name_cannot_be_told_apart(tmp_path: Path):
    of = extract(tmp_path, "trust")
    given = [scores(tmp_path, of, "honest"), tmp_path / "HONEST.csv"]
    with pytest.raises(UsageError, match="two files have the same name"):
        pipeline.compare_products(of, given, out=tmp_path / "r", setting=SETTING, policy=POLICY, home=tmp_path)


def counted(folder: Path, name: str, *, policy: Policy, seed: int) -> Path:
    of = extract(folder, name, seed=seed)
    written = pipeline.audit_counts(
        of,
        out=folder / "pool" / f"{name}.counts.json",
        trust=f"Trust {name}",
        setting=SETTING,
        policy=policy,
        home=folder / f"home of {name}",
        scores=scores(folder, of, "honest"),
    )
    assert written.is_exact is (policy.pooling.protect == "none")
    assert bool(written.unknown) is (policy.pooling.protect == "suppressed")
    return written.path


@pytest.mark.parametrize("protect", ["none", "suppressed"])
def test_three_trusts_get_one_report_with_the_place_of_each(tmp_path: Path, protect: str):
    policy = POLICY.model_copy(update={"pooling": POLICY.pooling.model_copy(update={"protect": protect})})
    for seed, name in enumerate(("a", "b", "c")):
        counted(tmp_path, name, policy=policy, seed=seed)
    audit = pipeline.audit_pool(
        tmp_path / "pool", out=tmp_path / "report", policy=policy, timezone="Europe/London", home=tmp_path / "home"
    )
    assert [place.trust for place in audit.result.trusts] == ["Trust a", "Trust b", "Trust c"]
    figures = json.loads((tmp_path / "report" / "audit.json").read_text())
    assert figures["overall"]["counts"]["missed"] == pytest.approx(3 * ROWS // 8, abs=5)
    assert [one["missed"] for one in figures["trusts"]] == [ROWS // 8] * 3
    page = audit.report.read_text()
    assert "The verdict above is on the people of all 3 trusts together." in page
    assert ("whose counts left it protected" in page) is (protect == "suppressed")
    assert (tmp_path / "report" / "trusts.csv").read_text(encoding="utf-8-sig").count("\n") == 4


def test_a_group_that_is_too_small_in_every_trust_is_found_in_the_pool():
    table = PlantedWorld("under-scored", seed=2, appointments=50_000).table()
    trust = table["patient"].to_numpy() % 9
    trusts = [count(AuditData.of(table.filter(pa.array(trust == number))), POLICY) for number in range(9)]
    alone = [failed(one) for one in trusts]
    assert sum(("ethnicity", "J") in one for one in alone) <= 2
    assert failed(functools.reduce(operator.add, trusts)) == {("ethnicity", "J")}


def failed(counts: AuditCounts) -> set[tuple[str, str]]:
    """The groups that a gate names as harmed."""
    context = ReportContext("1", "", "", World.window(), "a tenth", "unknown", synthetic=True)
    _, gates = judge_gates(evidence_of(counts, policy=POLICY, context=context))
    failed = (check for gate in gates for check in gate.checks if check.verdict is Verdict.FAIL)
    return {(check.grouping, check.group.code) for check in failed if check.grouping != "all"}


@pytest.mark.cases(2)
@pytest.mark.parametrize(("seed", "under_scored"), [(0, None), (1, None), (2, "J")])
def test_the_verdict_of_a_trusts_place_is_that_of_all_its_gates(seed: int, under_scored: str | None):
    """A place leaves out what cannot change its verdict; it is small trusts whose strict label turns verdicts."""
    table = World(appointments=20_000, seed=seed, mislabelled=0.03, under_scored=under_scored).table()
    trust = table["patient"].to_numpy() % 2
    trusts = [
        TrustCounts(f"{number}.json", provenance(f"Trust {number}"), counts_of_trust(table, trust == number))
        for number in range(2)
    ]
    context = pool_context(trusts, code_revision="", created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    lenient = POLICY.model_copy(update={"may_be_absent": POLICY.compared})
    for place, one in zip(audit_pool(trusts, policy=POLICY, context=context).trusts, trusts, strict=True):
        assert one.counts.strict
        assert place.verdict is judge_gates(evidence_of(one.counts, policy=lenient, context=context))[0]


def counts_of_trust(table: pa.Table, rows: np.ndarray) -> AuditCounts:
    return count(AuditData.of(table.filter(pa.array(rows))), POLICY)


def test_a_file_of_counts_is_for_its_owner_and_holds_no_patient_and_no_appointment(tmp_path: Path):
    path = counted(tmp_path, "a", policy=POLICY, seed=1)
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    table = pq.read_table(tmp_path / "a.parquet")
    assert not [value for value in table["appointment_id"].to_pylist()[:200] if value in text]
    assert "patient_id" not in text


def test_the_study_needs_appointments(tmp_path: Path):
    with pytest.raises(UsageError, match="a pool holds counts only"):
        pipeline.audit_pool(
            tmp_path,
            out=tmp_path / "r",
            policy=POLICY,
            timezone="Europe/London",
            home=tmp_path,
            extras=frozenset({"study"}),
        )
