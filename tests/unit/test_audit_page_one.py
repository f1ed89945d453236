"""Page 1 as a reader without statistics meets it: in several worlds, with figures that agree and plain words."""

import hashlib
import html
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World
from benchmarks.planted_worlds import PlantedWorld
from tests.plain_words import BANNED, MISLEADING, grade
from tests.unit.test_audit_report import CONTEXT, POLICY

from dnapredict.config.fairness_policy import Signatory
from dnapredict.fairness import AuditData, extra_files, run, write
from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.publish.group_findings import group_findings
from dnapredict.fairness.report.easy_read import easy_read_ideas
from dnapredict.fairness.report.first_page import stored_report
from dnapredict.fairness.report.group_phrases import people
from dnapredict.fairness.report.page_one import MOST_ROWS, _named, page_one
from dnapredict.fairness.report.report_files import report_files
from dnapredict.fairness.report.wording import named_groups
from dnapredict.fairness.verdicts import Check, Gate, Verdict

BARE = ["patient", "dna", "probability", "selected", "starts_at"]


def _over_called() -> pa.Table:
    """A list that leaves out everybody of 65 and more: their risks are a third of what they should be."""
    world = World(appointments=30_000).table()
    old = pc.greater_equal(world["age_years"], 65.0)
    risk = pc.if_else(old, pc.divide(world["probability"], 3.0), world["probability"])
    top = pc.quantile(risk, q=0.9)[0]
    table = world.set_column(world.column_names.index("probability"), "probability", risk)
    return table.set_column(table.column_names.index("selected"), "selected", pc.greater(risk, top))


WORLDS = {
    "under-scored": lambda: World(appointments=30_000, under_scored="J").table(),
    "older people": _over_called,
    "no groups": lambda: World(appointments=3_000).table().select(BARE),
    "small": lambda: PlantedWorld("fair", appointments=2_000).table(),
    "calls": lambda: PlantedWorld("calls help one group", appointments=20_000).table(),
}


@pytest.fixture(scope="module", params=WORLDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = run(AuditData.of(WORLDS[request.param]()), policy=POLICY, context=CONTEXT)
    extra = extra_files(result, frozenset({"easy-read"}))
    return write(result, tmp_path_factory.mktemp("reports") / "7", extra_files=extra).parent


def first_page(folder: Path) -> str:
    page = (folder / "report.html").read_text()
    return page[page.index("<main") : page.index('<section class="page"')]


def one(folder: Path) -> Mapping[str, object]:
    return json.loads((folder / "audit.json").read_text())["page_one"]


def test_page_one_can_be_read_after_eight_years_of_school(folder: Path):
    assert grade(first_page(folder)) <= 8
    assert grade((folder / "easy-read.html").read_text().split("<main", 1)[1].split("<footer")[0]) <= 5


def test_no_file_holds_a_sentence_that_readers_misread_or_a_word_that_blames(folder: Path):
    for path in folder.iterdir():
        text = html.unescape(re.sub(r"(?s)<svg.*?</svg>|<style>.*?</style>", " ", path.read_text(encoding="utf-8-sig")))
        assert not [pattern for pattern in MISLEADING if re.search(pattern, text)], path.name
        assert not [word for word in BANNED if word in text.casefold()], path.name


def test_page_one_has_its_parts_in_order(folder: Path):
    text = html.unescape(first_page(folder))
    parts = (
        *("Never use it for", "Is the list fair?", "Can we trust the records?", "Are the risks right"),
        *("Who is behind", "What we can say", "What we cannot say", "Decision"),
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count('class="tile ') == 3


def test_numbers_of_people_agree_with_each_other(folder: Path):
    for row in one(folder)["behind"]:
        found = re.search(
            r", (\d+) would have been called; of 100 others, (\d+)\. "
            r"That is (\d+) fewer, most likely (\d+)(?: to (\d+))?\.",
            row["figures"],
        )
        if found:
            reach, others, fewer, low, high = (int(number or found[4]) for number in found.groups())
            assert others - reach == fewer
            assert low <= fewer <= high
    tables = re.findall(r'(?s)<caption id="table-.*?</table>', (folder / "figures.html").read_text())
    assert tables
    for row in re.findall(r"(?s)<tr.*?</tr>", "".join(tables)):
        cells = re.findall(r'<td class="number">(\d+) <span class="range">\((\d+) to (\d+)\)', row)
        if len(cells) == 5:  # missed, called, reach, missed support, unneeded call
            (reach, low, high), support = cells[2], cells[3]
            assert [int(end) for end in support] == [100 - int(reach), 100 - int(high), 100 - int(low)]


def test_no_number_is_below_zero(folder: Path):
    for name in ("report.html", "figures.html", "easy-read.html"):
        text = re.sub(r"(?s)<svg.*?</svg>|<style>.*?</style>|<code>.*?</code>|<table>\s*<caption id=.lines.*?</table>",
                      " ", (folder / name).read_text())  # fmt: skip
        assert not re.findall(r"[\s(>]-\d", re.sub(r"<[^>]+>", "> ", text)), name


def test_a_stored_report_is_read_back_in_the_same_words(folder: Path):
    stored = stored_report(folder, sha256=hashlib.sha256((folder / "report.html").read_bytes()).hexdigest())
    assert stored is not None
    assert stored.first_page.page_one is not None
    assert [row.figures for row in stored.first_page.page_one.behind] == [
        row["figures"] for row in one(folder)["behind"]
    ]
    assert stored.tables == (folder / "figures.html").read_bytes()
    for row in stored.first_page.page_one.behind:
        assert html.escape(row.figures, quote=False) in (folder / "report.html").read_text().replace("&#39;", "'")


def test_a_page_of_tables_that_was_changed_is_not_shown(folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "figures.html").write_text("other")
    digest = hashlib.sha256((copy / "report.html").read_bytes()).hexdigest()
    stored = stored_report(copy, sha256=digest)
    assert stored is not None
    assert stored.tables is None


def test_the_largest_gap_is_on_page_one_wherever_it_is():
    """People of 65 and more are left out: they are named with figures, the cause and the next step."""
    result = run(AuditData.of(_over_called()), policy=POLICY, context=CONTEXT)
    page = page_one(result)
    first = page.behind[0]
    assert first.verdict is Verdict.FAIL
    assert first.groups[0] in ("People aged 65 to 79", "People aged 80 and over")
    assert re.match(
        r"Of 100 people aged .* who missed, \d+ would have been called; of 100 others, \d+\.", first.figures
    )
    assert "too low" in first.why
    assert first.owner == POLICY.owners.model
    assert first.by_when == "before the list is used"
    assert len(page.behind) <= MOST_ROWS


def test_easy_read_says_who_is_harmed():
    result = run(AuditData.of(_over_called()), policy=POLICY, context=CONTEXT)
    harmed = [idea for idea in easy_read_ideas(result) if idea.picture is Verdict.FAIL]
    assert any("The list finds too few people aged 65 to 79." in idea.sentences for idea in harmed)
    assert all(len(sentence.split()) <= 16 for idea in easy_read_ideas(result) for sentence in idea.sentences)


def test_specialties_have_their_names():
    table = PlantedWorld("fair", appointments=20_000).table()
    folder_text = html.unescape(_tables_page(table))
    assert "Ophthalmology" in folder_text
    assert "Ear, nose and throat" in folder_text


def _tables_page(table: pa.Table) -> str:
    return report_files(run(AuditData.of(table), policy=POLICY, context=CONTEXT))["figures.html"].decode()


def test_a_large_group_near_the_limit_is_not_called_too_small():
    """White British people and women are most of a service: only the range of their gap is too wide to say."""
    result = run(AuditData.of(PlantedWorld("fair", appointments=20_000).table()), policy=POLICY, context=CONTEXT)
    said = page_one(result).cannot_say
    few = next(sentence for sentence in said if sentence.startswith("Too few missed to say"))
    wide = next(sentence for sentence in said if "The data can still mean yes or no." in sentence)
    smallest = POLICY.smallest_group
    thin = [check for check in result.gate("G3").checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    for check in thin:
        missed = next(
            (r.counts["missed"] for r in result.table(check.grouping).rows if r.group.code == check.group.code), None
        )
        if missed is not None and missed >= smallest:
            assert people(check.grouping, check.group) not in few
    assert "White British people" in wide
    assert "At this rate there will be enough for the first of them by " in wide


def test_the_gap_of_a_mix_of_clinics_is_said_before_and_after():
    result = run(AuditData.of(PlantedWorld("mix of clinics").table()), policy=POLICY, context=CONTEXT)
    row = next(row for row in page_one(result).behind if row.groups == ("Pakistani people",))
    found = re.search(
        r"That is (\d+) fewer, .* If all went to the same clinics, it would be (?:as many|(\d+) (?:fewer|more)), "
        r"and not (\d+) fewer\.$",
        row.figures,
    )
    assert found is not None
    assert found[1] == found[3]
    assert int(found[2] or 0) < int(found[1]) / 2
    assert row.why == "They use other clinics. Within a clinic the gap is not there."


@pytest.mark.parametrize("named", [False, True])
def test_page_one_says_where_the_policy_names_nobody_who_may_sign(named: bool):
    person = {"name": "A. Name", "role": "Equality lead", "key_sha256": "c" * 64}
    policy = POLICY.model_copy(update={"signatories": (Signatory(**person),) if named else ()})
    table = PlantedWorld("fair", appointments=2_000).table()
    text = html.unescape(report_files(run(AuditData.of(table), policy=policy, context=CONTEXT))["report.html"].decode())
    assert ("The policy names nobody who may sign. Anybody can then write any name here" in text) is not named


@pytest.mark.parametrize("number", [1, 4, 5, 6, 9])
def test_no_group_is_left_out_of_what_we_can_and_cannot_say(number: int):
    names = [f"{letter} people" for letter in "ABCDEFGHI"[:number]]
    checks = [
        Check("ethnicity", Group(str(place), name), Verdict.PASS, "reach", "") for place, name in enumerate(names)
    ]
    (said,) = _named("Reached: {}.", checks)
    told = re.search(r"(\d+) more groups", said)
    assert sum(name in said for name in names) + (int(told[1]) if told else 0) == number


def test_people_whose_area_is_not_known_are_named_once():
    """They are a group of Core20, of deciles and of fifths alike."""
    groups = [
        ("core20", Group("none", "Area not known", known=False)),
        ("imd_decile", Group("none", "No decile", known=False)),
    ]
    checks = [Check(grouping, group, Verdict.NOT_ENOUGH_DATA, "reach", "", weight=1.0) for grouping, group in groups]
    assert named_groups(checks) == "people whose area is not known"


def test_page_one_says_how_many_appointments_were_of_patients_who_asked_not_to_be_called():
    said = "About 40 appointments were of patients who asked not to be called: no calls are spent on them."
    appointments = AuditData.of(World(appointments=3_000).table().select(BARE))
    result = run(appointments, policy=POLICY, context=replace(CONTEXT, opted_out=said))
    assert said in page_one(result).method
    assert "asked not to be called" not in page_one(replace(result, context=CONTEXT)).method


def test_groups_with_equal_gaps_stay_in_the_order_of_the_report_in_every_run():
    behind = {"measure": "reach", "sentence": "", "estimate": Interval(0.25, 0.16, 0.31)}
    checks = tuple(
        Check(grouping, Group(str(code), str(code)), Verdict.REVIEW, **behind)
        for grouping in ("history", "age", "ethnicity")
        for code in range(6)
    )
    gate = Gate("G3", "", "", Verdict.REVIEW, "", checks)
    evidence = Evidence({}, {}, POLICY, 0)
    evidence.__dict__["compared"] = ()  # nothing was counted
    found = group_findings([gate], evidence)
    assert [(one.grouping, one.group.code) for one in found] == [
        (check.grouping, check.group.code) for check in checks[: len(found)]
    ]
    assert len(found) > 3
