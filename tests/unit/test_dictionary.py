"""`training/DATA.md` says what the contract says."""

from pathlib import Path

from dnapredict.data.validation.data_dictionary import dictionary

ROOT = Path(__file__).resolve().parents[2]


def test_the_data_dictionary_is_current():
    written = (ROOT / "training" / "DATA.md").read_text(encoding="utf-8")
    assert written == dictionary(), "run: python -m dnapredict.data.validation.data_dictionary > training/DATA.md"
