"""The report: self-contained, plain, hiding small numbers, whole or absent."""

import csv
import datetime
import html
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World
from tests.plain_words import BANNED
from tests.undrawn_charts import charts_drawn

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import UsageError
from dnapredict.fairness import AuditData, AuditResult, ReportContext, Verdict, run, write

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext(
    model_version="7",
    model_sha256="a" * 64,
    data_sha256="b" * 64,
    window=World.window(),
    capacity="the 10 in 100 with the highest risk",
    code_revision="c" * 40,
    synthetic=True,
    seed=1,
    created_at=datetime.datetime(2026, 1, 5, 9, 0),
)
FORBIDDEN_IN_PAGE = r"<script|https?://|@import|url\((?!#)|<link|<img|<iframe|\son[a-z]+="


def audit(table: pa.Table, context: ReportContext = CONTEXT) -> AuditResult:
    return run(AuditData.of(table), policy=POLICY, context=context)


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return audit(World(appointments=30_000, under_scored="J").table())


@pytest.fixture(scope="module")
def folder(result: AuditResult, undrawn: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with charts_drawn(undrawn):
        return write(result, tmp_path_factory.mktemp("reports") / "7").parent


def test_the_page_asks_nobody_for_anything(folder: Path):
    page = (folder / "report.html").read_text()
    assert not re.findall(FORBIDDEN_IN_PAGE, page.casefold())
    assert page.startswith("<!DOCTYPE html>")


def test_the_page_says_that_the_data_are_synthetic_and_only_then(folder: Path):
    assert "SYNTHETIC DATA" in (folder / "report.html").read_text()
    real = audit(World(appointments=3_000).table(), context=_context(synthetic=False))
    write(real, folder.parent / "real")
    assert "synthetic" not in _text(folder.parent / "real").casefold()


def _context(**changes: object) -> ReportContext:
    return ReportContext(**{**vars(CONTEXT), **changes})


def test_no_word_blames_a_patient(folder: Path):
    text = " ".join(path.read_text().casefold() for path in folder.iterdir())
    assert not [word for word in BANNED if word in text]


def test_what_must_never_be_done_stands_on_page_one(folder: Path):
    page = (folder / "report.html").read_text()
    assert page.index("overbooking") < page.index("What we found")


def test_page_one_gives_the_finding_in_numbers_of_people(folder: Path):
    text = html.unescape(_text(folder))
    assert re.search(r"Of 100 Pakistani people who missed, \d+ would have been called; of 100 others, \d+\.", text)
    assert re.search(r"Of 100 people in the most deprived areas who missed, \d+; of 100 in other areas, \d+\.", text)


def _text(folder: Path) -> str:
    page = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", (folder / "report.html").read_text())
    return " ".join(page.split())


def test_every_count_that_is_written_is_hidden_or_rounded(folder: Path):
    for path in folder.glob("figures_*.csv"):
        for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()):
            for name in ("appointments", "missed", "selected", "reached"):
                assert row[name] == "*" or (int(row[name]) % 5 == 0 and int(row[name]) not in range(1, 8))
    figures = json.loads((folder / "audit.json").read_text())
    counts = [row["counts"] for grouping in figures["groupings"].values() for row in grouping["rows"]]
    assert all(value is None or value % 5 == 0 for row in counts for value in row.values())


def test_a_small_group_is_hidden_with_its_ranges():
    world = World(appointments=20_000).table()
    few = pc.equal(world["ethnic_category_code"], "R")
    kept = pa.concat_tables([world.filter(pc.invert(pc.fill_null(few, False))), world.filter(few).slice(0, 6)])
    table = audit(kept).table("ethnicity")
    assert table is not None
    chinese = next(row for row in table.rows if row.group.code == "R")
    assert chinese.counts["appointments"] is None
    assert set(chinese.rates.values()) == {None}
    assert chinese.own_top_reach is chinese.observed_over_expected is chinese.allocation_index is None


def test_json_holds_verdict_gates_policy_and_origin(folder: Path, result: AuditResult):
    figures = json.loads((folder / "audit.json").read_text())
    assert figures["verdict"] == result.verdict == Verdict.FAIL
    assert {gate["code"] for gate in figures["gates"]} >= {"G0", "G2", "G3", "G7"}
    assert figures["policy"]["limits"]["reach"]["max_harm_gap"] == 0.05
    assert figures["context"]["model_sha256"] == "a" * 64


def test_the_same_input_gives_the_same_files(folder: Path, undrawn: pytest.MonkeyPatch, tmp_path: Path):
    with charts_drawn(undrawn):
        again = write(audit(World(appointments=30_000, under_scored="J").table()), tmp_path / "again").parent
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_an_older_report_is_replaced_whole_and_a_signed_one_never(result: AuditResult, tmp_path: Path):
    out = tmp_path / "report"
    write(result, out)
    (out / "figures_old.csv").write_text("left over")
    write(result, out)
    assert not (out / "figures_old.csv").exists()
    (out / "signature.json").write_text("{}")
    with pytest.raises(UsageError, match="signed"):
        write(result, out)
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_other_things_is_left_alone(result: AuditResult, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="other files"):
        write(result, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_extract_without_groups_says_so_and_does_not_pass(tmp_path: Path):
    bare = World(appointments=3_000).table().select(["patient", "dna", "probability", "selected", "starts_at"])
    result = audit(bare)
    assert result.verdict is Verdict.NOT_ENOUGH_DATA
    folder = write(result, tmp_path / "bare").parent
    text = html.unescape(_text(folder))
    assert "Not in the data: how deprived people's areas are, people's ethnic groups" in text
    assert "bring into the data who people are" in text
    assert "The data do not say who people are, so nobody can say." in text


def test_a_local_group_whose_name_is_a_formula_stays_text(tmp_path: Path):
    world = World(appointments=3_000).table()
    names = ["=1+1"] * world.num_rows
    folder = write(audit(world.append_column("plus_group", [names])), tmp_path / "formula").parent
    rows = list(csv.reader((folder / "figures_plus.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert rows[1][:2] == ["'=1+1", "'=1+1"]


def test_a_small_group_is_hidden_in_page_json_and_every_csv(tmp_path: Path):
    """Six Chinese patients: wherever the group stands, no count, share, range or p-value of theirs does."""
    world = World(appointments=20_000).table()
    few = pc.fill_null(pc.equal(world["ethnic_category_code"], "R"), False)
    table = pa.concat_tables([world.filter(pc.invert(few)), world.filter(few).slice(0, 6)])
    folder = write(audit(table), tmp_path / "few").parent
    figures = json.loads((folder / "audit.json").read_text())
    row = next(r for r in figures["groupings"]["ethnicity"]["rows"] if r["group"]["code"] == "R")
    assert {json.dumps(value) for value in (*row["counts"].values(), *row["rates"].values())} == {"null"}
    assert not [value for name, value in row.items() if name not in {"group", "counts", "rates"} and value]
    checks = [c for gate in figures["gates"] for c in gate["checks"] if c["group"]["code"] == "R"]
    assert checks
    assert {(check["estimate"], check["p_adjusted"]) for check in checks} == {(None, None)}
    for path in folder.glob("*.csv"):
        lines = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        for line in (line for line in lines if (line.get("group") or "") == "Other: Chinese"):
            words = {"code", "group", "gate", "title", "grouping", "verdict", "measure", "cause", "sentence"}
            assert {value for name, value in line.items() if name not in words} <= {"*", ""}
    page = (folder / "figures.html").read_text()
    cells = re.findall(r'<th scope="row">Chinese people</th>(.*?)</tr>', page, re.DOTALL)[-1:]
    assert cells
    assert re.findall(r">([^<>]*?)</td>", cells[0]).count("hidden") == 8


def test_page_one_says_why_a_report_failed_though_reach_is_alike(tmp_path: Path):
    """Risks of everyone are half of what they should be: nobody is called less, and yet it fails."""
    world = World(appointments=60_000).table()
    halved = pc.divide(world["probability"], 2.0)
    table = world.set_column(world.column_names.index("probability"), "probability", halved)
    text = _text(write(audit(table), tmp_path / "halved").parent)
    found = text[text.index("What we found") : text.index("Who is behind")]
    assert "FAIL" in found
    assert re.search(r"Risks are too low for everyone: for every 100 missed .* expects, \d+ are missed", found)
    assert "Core20): 2" not in found  # it is no matter of a group


# Words of statisticians and of programs that a reader of page 1 need not know.
JARGON = (
    "TPR", "FNR", "FPR", "PPV", "AUROC", "AUC", "p-value", "Holm", "Benjamini", "quantile", "calibration",
    "confidence interval", "standard error", "odds", "sensitivity", "specificity", "null", "None", "nan",
    "threshold", "metric", "cohort", "decile 1-",
)  # fmt: skip
LONGEST_SENTENCE = 32  # words; a sentence that names groups is a list and may be longer


def test_page_one_is_in_plain_words_and_short_sentences(folder: Path):
    text = re.sub(r"(?s)<style>.*?</style>|<svg.*?</svg>", " ", (folder / "report.html").read_text())
    page_one = text[text.index("<main") : text.index('id="gates"')]
    paragraphs = re.findall(r"(?s)<(?:p|li|h\d|td|th)[^>]*>(.*?)</(?:p|li|h\d|td|th)>", page_one)
    sentences = [
        " ".join(re.sub(r"<[^>]+>", " ", sentence).split())
        for paragraph in paragraphs
        for sentence in re.split(r"(?<=[.?!])\s", paragraph)
    ]
    assert len(sentences) > 30
    assert not [word for word in JARGON if re.search(rf"\b{re.escape(word)}\b", " ".join(sentences))]
    lists = (
        "Of 100 who missed, these",
        "Too few missed to say",
        "Reached about as well",
        "Whether these are behind",
        "Whether fewer are reached",
    )
    long = [one for one in sentences if len(one.split()) > LONGEST_SENTENCE and not one.startswith(lists)]
    assert long == []


def test_each_permitted_use_says_what_is_decided_and_why_one_figure_comes_first(tmp_path: Path):
    for use, said in {
        "offer of another time or mode": "look who takes it up",
        "capacity planning": "nobody is called",
    }.items():
        policy = POLICY.model_copy(update={"use": use})
        result = run(AuditData.of(World(appointments=3_000).table()), policy=policy, context=CONTEXT)
        text = _text(write(result, tmp_path / use.replace(" ", "-")).parent)
        assert said in text[: text.index("What we found")]
        assert ("It holds" in text) is (policy.primary == "reach")


def test_every_group_that_fails_is_named_with_what_is_said_of_it(folder: Path):
    text = re.sub(r"<[^>]+>", " ", (folder / "figures.html").read_text())
    told = text[text.index("What each group's answer was") :]
    assert re.search(r"Pakistani people: \d+ appointments are missed for every 100 expected", told)
