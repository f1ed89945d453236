"""A foreign list through the command and through the service: the same mapping, the same numbers."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust
from tests.nasty_lists import HEADERLESS, MARK

from dnapredict import pipeline
from dnapredict.config.mapping_config import load_mapping
from dnapredict.errors import ConfigurationError, DataError
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.api.uploaded_lists import ListScoring
from dnapredict.service.log.answer_entries import AnswerLog, Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.start import MAPPING_VARIABLE, served_mapping
from dnapredict.worklist.scorer import Scorer

MARKED = "Marked-Surname"
NAMES = {"appointment_id": "Appt No", "starts_at": "When", "gender_code": "Sex", "site_code": "Place"}
MAPPING = """
[columns]
appointment_id = { from = "Appt No" }
starts_at = { from = "When" }
site_code = { from = "Place" }
gender_code = { from = "Sex", translate = { M = "1", F = "2" } }
times_rescheduled = { from = "moves.Moved" }
[files.moves]
path = "moves.csv"
match = { "Appt No" = "Appt" }
"""


@dataclass(frozen=True)
class Steady:
    """A champion that never changes."""

    scorer: Scorer

    def require(self) -> Scorer:
        return self.scorer


@pytest.fixture
def foreign(trust: Trust, tmp_path: Path) -> Path:
    """Next week's list under other names, its reschedules in a file of their own."""
    weekly = pq.read_table(trust.weekly)
    moves = {"Appt": weekly["appointment_id"], "Moved": weekly["times_rescheduled"]}
    pa_csv.write_csv(pa.table(moves), tmp_path / "moves.csv")
    sex = [{"1": "M", "2": "F"}.get(code, code) for code in weekly["gender_code"].to_pylist()]
    renamed = weekly.drop_columns(["gender_code", "times_rescheduled"]).append_column("gender_code", pa.array(sex))
    renamed = renamed.rename_columns([NAMES.get(name, name) for name in renamed.column_names])
    names = pa.array([f"{MARKED}-{row}" for row in range(weekly.num_rows)])
    pa_csv.write_csv(renamed.append_column("Surname", names), tmp_path / "list.csv")
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path


def probabilities(worklist: pa.Table) -> dict[str, float]:
    return dict(zip(worklist["appointment_id"].to_pylist(), worklist["probability"].to_pylist(), strict=True))


def test_a_foreign_list_gets_the_numbers_of_its_own_rows_by_file_and_by_upload(trust: Trust, dnapredict, foreign: Path):
    worklists = {}
    for name, words in {
        "own": (trust.weekly,),
        "mapped": (foreign / "list.csv", "--mapping", foreign / "mapping.toml"),
    }.items():
        out = foreign / f"{name}.parquet"
        done = dnapredict("score", *words, "--out", out, "--home", trust.home)
        assert done.returncode == 0, done.stderr
        worklists[name] = probabilities(pq.read_table(out))
    assert worklists["mapped"] == pytest.approx(worklists["own"], abs=1e-12)

    mapping = load_mapping(foreign / "mapping.toml")
    champion = Steady(pipeline.open_scorer(trust.home))
    logbook = AnswerLog(ScoringLog(trust.home), Hashes(trust.home))
    lists = ListScoring(TeamLists(trust.home), champion=champion, logbook=logbook, mapping=mapping)
    uploaded = lists.score((foreign / "list.csv").read_bytes(), name="list.csv")
    assert probabilities(uploaded.worklist) == pytest.approx(worklists["own"], abs=1e-12)
    kept = [path for path in trust.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if MARKED.encode() in path.read_bytes()]


def test_an_upload_without_a_header_is_refused_and_none_of_its_first_row_is_repeated(trust: Trust):
    champion = Steady(pipeline.open_scorer(trust.home))
    logbook = AnswerLog(ScoringLog(trust.home), Hashes(trust.home))
    lists = ListScoring(TeamLists(trust.home), champion=champion, logbook=logbook)
    with pytest.raises(DataError, match="the first row looks like data") as refusal:
        lists.score(HEADERLESS.encode(), name="list.csv")
    assert MARK not in str(refusal.value)
    assert "Cardiology" not in str(refusal.value)


def test_a_service_reads_lists_as_its_environment_says(foreign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MAPPING_VARIABLE, str(foreign / "mapping.toml"))
    assert served_mapping() == load_mapping(foreign / "mapping.toml")
    monkeypatch.setenv(MAPPING_VARIABLE, str(foreign / "none.toml"))
    with pytest.raises(ConfigurationError, match=r"none.toml: no such file"):
        served_mapping()
