"""An ethnic group is known only from a whole national code: nobody is taken for somebody else."""

import csv
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import column
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.fairness.measure.groupings import broad_ethnic_group, ethnic_code
from dnapredict.pipeline.auditing import Audit
from dnapredict.synthetic.simulation import simulate

DESCRIBED = {code: meaning.replace(":", " -") for code, meaning in codes.ETHNIC_CATEGORY.items()} | {"X": "X"}

# The NHS's own descriptions, which are no codes.
DESCRIPTIONS = (
    *("White - British", "White - Irish", "White - Any other White background"),
    *("Mixed - White and Black Caribbean", "Mixed - White and Black African", "Mixed - White and Asian"),
    *("Mixed - Any other mixed background", "Asian or Asian British - Indian"),
    *("Asian or Asian British - Pakistani", "Asian or Asian British - Bangladeshi"),
    *("Asian or Asian British - Any other Asian background", "Black or Black British - Caribbean"),
    *("Black or Black British - African", "Black or Black British - Any other Black background"),
    *("Other Ethnic Groups - Chinese", "Other Ethnic Groups - Any other ethnic group", "Not stated"),
    *("Black - Any other", "Indian", "Refused", "Zimbabwean", "Patient declined", "Gypsy or Roma", "Arab"),
)
NO_CODES = (
    "No",
    "NK",
    "UK",
    "GB",
    "PL",
    "CN",
    "W1",
    "AB",
    "A12",
    "999",
    "9",
    "A-",
    "A 1",
    "1",
    "I",
    "O",
    "Q",
)


def read(*cells: str) -> list[str | None]:
    """What the contract makes of cells of the ethnic category."""
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"cell": pa.array(cells, pa.string())}))
        found = parse(table.cell, column("ethnic_category_code"), zone="Europe/London")
        return workspace.backend.to_pyarrow(table.select(value=found.value))["value"].to_pylist()


def test_a_text_that_is_no_whole_code_is_not_known():
    texts = (*DESCRIPTIONS, *NO_CODES)
    values = read(*texts)
    assert not set(values) & set(codes.ETHNIC_CATEGORY)
    # "NK" and its like say that nothing was recorded; everything else is a text that is no code.
    assert {ethnic_code(text) for text in (*texts, *values)} <= {"invalid", "blank"}
    assert {broad_ethnic_group(text) for text in (*texts, *values)} <= {"invalid", "blank"}
    assert {ethnic_code(text) for text in DESCRIPTIONS} == {"invalid"}


def test_each_national_code_is_itself_with_or_without_a_local_digit():
    national = [code for code in codes.ETHNIC_CATEGORY if len(code) == 1 and code != "X"]
    written = [text for code in national for text in (code, f" {code.lower()} ", f"{code}1", f"{code}9")]
    assert read(*written) == [code for code in national for _ in range(4)]
    assert read("99", "99.0", "X", "x") == ["99", "99", "X", "X"]


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.text(max_size=4) | st.text("ABCNZXabz0199 -\n\u017f\u212a\uff21", max_size=3), max_size=200))
@example(["\u017f", "A\n", "A\nB", "\uff21", "A\u0301", "99\x00"])
def test_no_text_that_is_not_a_whole_code_ever_becomes_one(texts: list[str]):
    texts = [text for text in texts if "\x00" not in text]
    for text, value in zip(texts, read(*texts), strict=True):
        bare = text.strip(" \t\n\r\v\f\u00a0\ufeff").removesuffix(".0")
        whole = re.fullmatch("99|[Xx]|[A-HJ-NPRSZa-hj-nprsz][0-9]?", bare)
        if whole is None:
            assert value not in codes.ETHNIC_CATEGORY
        else:
            assert value == ("99" if bare == "99" else bare[0].upper())
        known = codes.ETHNIC_CATEGORY if ethnic_code(text) not in ("blank", "invalid") else ()
        assert not known or re.fullmatch("99|[Xx]|[A-HJ-NPRSZa-hj-nprsz][0-9]?", text.strip())


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic extract with codes."""
    path = tmp_path_factory.mktemp("words") / "extract.parquet"
    simulate(path, appointments=6_000, seed=3)
    return path


def in_words(coded: Path, words: dict[str, str], folder: Path) -> Path:
    """The same extract with a word for each code."""
    table = pq.read_table(coded)
    place = table.column_names.index("ethnic_category_code")
    written = [code and words[code] for code in table[place].to_pylist()]
    path = folder / "extract.parquet"
    pq.write_table(table.set_column(place, "ethnic_category_code", pa.array(written)), path)
    return path


# Headings alone, from which nobody's group is known.
HEADINGS = {code: meaning.partition(":")[0] + " background" for code, meaning in codes.ETHNIC_CATEGORY.items()}


def appointments_by_group(report: Path, name: str) -> dict[str, str]:
    """Appointments of each group in a folder's figures by ethnic group; hidden counts are some."""
    with (report / name).open(encoding="utf-8-sig", newline="") as text:
        lines = list(csv.DictReader(text))
    return {line["code"]: line["appointments"] for line in lines}


def audited(extract: Path, folder: Path) -> tuple[dict[str, str], Audit, list[str]]:
    """Appointments by group of an audit of risks made up by row, the audit, and what it says meanwhile."""
    rows = pq.read_table(extract)
    scored = rows.filter(pc.is_in(rows["outcome_code"], pa.array(["3", "5", "6", "7"])))
    risk = pa.array([0.05 + 0.9 * (n % 97) / 97 for n in range(scored.num_rows)])
    scores = folder / "scores.parquet"
    pq.write_table(pa.table({"appointment_id": scored["appointment_id"], "probability": risk}), scores)
    said: list[str] = []
    done = pipeline.audit(
        extract,
        out=folder / "report",
        setting=Setting(config=TrainingConfig()),
        policy=load(shipped("fairness/policy.toml"), Policy),
        home=folder / "home",
        scores=scores,
        say=said.append,
    )
    return appointments_by_group(folder / "report", "figures_ethnicity.csv"), done, said


def test_an_audit_of_descriptions_counts_the_same_groups_as_one_of_codes(coded: Path, tmp_path: Path):
    for name in ("codes", "words"):
        (tmp_path / name).mkdir()
    truth, _, _ = audited(in_words(coded, {code: code for code in DESCRIBED}, tmp_path / "codes"), tmp_path / "codes")
    found, _, said = audited(in_words(coded, DESCRIBED, tmp_path / "words"), tmp_path / "words")
    assert found == truth
    assert len([count for count in found.values() if count not in ("0", "*")]) > 5
    assert [text for text in said if "ethnic_category_code" in text] == []


def test_an_audit_of_words_that_describe_no_group_says_that_ethnicity_is_not_known(coded: Path, tmp_path: Path):
    found, done, said = audited(in_words(coded, HEADINGS, tmp_path), tmp_path)
    assert {code for code, count in found.items() if count not in ("0", "*")} == {"invalid", "blank"}
    (records,) = [gate for gate in done.result.gates if gate.code == "G0"]
    assert "known for 0 in 100 appointments" in records.sentence
    (warning,) = [text for text in said if "ethnic_category_code" in text]
    assert '"White background"' in warning
    assert "counted as not known" in warning


def test_a_report_on_the_service_says_that_ethnicity_in_words_is_not_known(coded: Path, tmp_path: Path):
    said: list[str] = []
    done = pipeline.access(
        in_words(coded, HEADINGS, tmp_path),
        out=tmp_path / "access",
        setting=Setting(config=TrainingConfig()),
        policy=load(shipped("fairness/policy.toml"), Policy),
        say=said.append,
    )
    table = done.result.table("ethnicity")
    assert table is not None
    assert [text for text in said if "ethnic_category_code: about" in text]
