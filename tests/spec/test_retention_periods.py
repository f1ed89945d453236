"""How long what is about patients is kept: the table of the documentation is what the settings say.

`docs/how-to-run-in-production.md` lists each kind of data with its days, the setting that changes them, and from when
they count.
"""

import re
from pathlib import Path

from dnapredict.config.loading import load, shipped
from dnapredict.config.service_config import Retention, ServiceConfig
from dnapredict.data.files.drafts import SECONDS_OF_A_DRAFT
from dnapredict.service.api import pending_uploads
from dnapredict.worklist.files import list_store

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to-run-in-production.md"
HEAD = "| what | where | days | setting | counted from |"


def table() -> list[dict[str, str]]:
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = text[text.index(HEAD) :].split("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def settings() -> dict[str, str]:
    """The days in the table by setting."""
    named = {row["setting"].strip("`"): row["days"] for row in table() if row["setting"] != "none"}
    assert len(named) == sum(row["setting"] != "none" for row in table()), "a setting is in two rows"
    return named


def test_each_setting_in_days_is_in_the_table_with_its_default():
    defaults = {name: days for name, days in Retention().model_dump().items() if name.endswith("_days")}
    words = {name: "for ever" if days is None else f"{days:,}" for name, days in defaults.items()}
    assert settings() == words


def test_the_shipped_settings_name_each_of_them():
    text = shipped("serving/service.toml").read_text(encoding="utf-8")
    assert load(shipped("serving/service.toml"), ServiceConfig).retention == Retention()
    assert [name for name in settings() if not re.search(rf"^(# )?{name} = \d+$", text, re.MULTILINE)] == []


def test_what_has_no_setting_is_kept_as_long_as_the_table_says():
    without = {row["where"]: row["days"] for row in table() if row["setting"] == "none"}
    assert without == {
        "`HOME/lists/ID.unscored`": f"{list_store._SECONDS_UNSCORED / 86_400:.0f}",
        "`HOME/history/`": "until replaced",
        "`HOME/uploads/`": {1_800: "half an hour"}[pending_uploads._SECONDS_KEPT],
        "next to the file; the temporary folder": {3_600: "an hour"}[SECONDS_OF_A_DRAFT],
    }


def test_each_row_says_from_when_it_counts():
    assert [row["what"] for row in table() if len(row["counted from"]) < len("the upload")] == []
