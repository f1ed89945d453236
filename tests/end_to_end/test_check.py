"""`dnapredict check` as a data manager runs it: on a file with faults, with the report beside."""

import json
import re
from pathlib import Path

from tests.end_to_end.conftest import Run

from dnapredict.quality import report_figures

ROOT = Path(__file__).resolve().parents[2]
MARKED = "Marked Value"
HEADER = "appointment_id,patient_id,booked_at,starts_at,outcome_code,gender_code,site_code,Patient Name"


def extract(place: Path) -> Path:
    """Thirty appointments; in two the patient's name has slipped into a column of the contract."""
    rows = [f"a{n},p{n},2025-01-02,2025-02-0{1 + n % 9} 10:00,5,1,RX101,{MARKED}" for n in range(30)]
    rows[3] = f"a3,p3,2025-01-02,2025-02-01 10:00,{MARKED},1,RX101,x"
    rows[4] = f"a4,p4,2025-01-02,2025-02-01 10:00,5,{MARKED},{MARKED},x"
    path = place / "week.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_faults_exit_10_and_the_report_is_there_without_a_patients_value(dnapredict: Run, tmp_path: Path):
    done = dnapredict("check", extract(tmp_path), "--report", tmp_path / "r.json")
    assert done.returncode == 10
    told = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (told["rows"], told["kept"], told["usable"]) == (30, 29, False)
    assert [(each["rule"], each["first_rows"]) for each in told["rejections"]] == [("outcome_code_unknown", [5])]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert MARKED not in done.stdout + done.stderr + page + json.dumps(told)
    assert MARKED.upper() not in page + json.dumps(told)


def test_a_report_may_be_named_by_its_page(dnapredict: Run, tmp_path: Path):
    dnapredict("check", extract(tmp_path), "--report", tmp_path / "week-47.html")
    assert sorted(path.name for path in tmp_path.glob("week-47.*")) == ["week-47.html", "week-47.json"]


def test_every_key_of_the_json_is_documented():
    text = (ROOT / "docs" / "check-report.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_]+)`", text))
    keys = {key for kind in vars(report_figures).values() for key in getattr(kind, "__dataclass_fields__", {})}
    assert keys - documented == set()
