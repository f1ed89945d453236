"""Two versions on live appointments: the same lists at the same moment, and what one knew more is said."""

import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from dnapredict.pipeline.comparison import live_comparison
from dnapredict.pipeline.comparison.live_comparison import compare_live, unequal_knowledge
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

DAY = datetime.datetime(2026, 3, 2, 9)


def rows(n: int, *, champion: str = "1", challenger: str | None = "2", **more: object) -> list[dict[str, object]]:
    """Appointments of which every fourth is missed; the champion knows which, the challenger does not."""
    return [
        {
            "appointment": f"{champion}-{challenger}-{number}-{sorted(more)}",
            "patient": f"p{number % 50}",
            "model_version": champion,
            "probability": 0.8 if number % 4 == 0 else 0.1,
            "challenger_version": challenger,
            "challenger_probability": None if challenger is None else 0.25,
            "starts_at": DAY + datetime.timedelta(days=number % 5),
            "booked_at": DAY - datetime.timedelta(days=14),
            "missed": number % 4 == 0,
        }
        | more
        for number in range(n)
    ]


def store(home: Path, *several: list[dict[str, object]]) -> None:
    OutcomeStore(home).write(pa.Table.from_pylist([row for some in several for row in some], schema=OUTCOME_SCHEMA))


def test_the_better_one_is_found_whichever_was_champion(tmp_path: Path) -> None:
    swapped = rows(300, champion="2", challenger="1")
    for row in swapped:
        row["probability"], row["challenger_probability"] = row["challenger_probability"], row["probability"]
    store(tmp_path, rows(400), swapped)
    compared = compare_live(tmp_path, "2", "1")
    assert compared is not None
    assert compared.n == 700
    assert compared.verdict("Version 2", "version 1").startswith("version 1 is better than Version 2 beyond chance")
    assert set(compared.differences) == {"all", "booked_1_day", "weekly"}
    assert compared.one["all"].log_loss == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))
    assert compared.other["all"].log_loss == pytest.approx(-0.25 * np.log(0.8) - 0.75 * np.log(0.9))


def test_whom_a_call_reached_or_whose_outcome_is_not_known_is_left_out(tmp_path: Path) -> None:
    store(
        tmp_path,
        rows(200),
        rows(100, contacted=True),
        rows(100, missed=None),
        rows(100, challenger=None),
        rows(100, challenger="3"),
    )
    compared = compare_live(tmp_path, "1", "2")
    assert compared is not None
    assert compared.n == 200


@pytest.mark.parametrize("known", [0, 99])
def test_too_few_are_not_compared(tmp_path: Path, known: int) -> None:
    store(tmp_path, rows(known))
    assert compare_live(tmp_path, "1", "2") is None


def test_without_a_store_there_is_nothing_live(tmp_path: Path) -> None:
    assert compare_live(tmp_path, "1", "2") is None


def provenance(*, horizon: int = 7, since: int = 2024, until: int = 2025, delay: int = 3) -> SimpleNamespace:
    config = SimpleNamespace(horizon_days=horizon, recording_delay_days=delay)
    return SimpleNamespace(config=config, data_from=datetime.date(since, 4, 1), data_to=datetime.date(until, 9, 30))


KNOWLEDGE = """
    one      | other    | says
    horizon 7| horizon 7|
    horizon 7| horizon 2| version 1 scored 7 days before each appointment, and version 2 2 days
    since 2024              | since 2020              | version 1 on 2024-04-01, and that of version 2 on 2020-04-01
    until 2025              | until 2026              | up to 2025-09-30, and version 2 up to 2026-09-30
    delay 3  | delay 5  | version 1 took an outcome as known 3 days after
"""


@pytest.mark.parametrize("row", KNOWLEDGE.strip().splitlines()[1:])
def test_unequal_knowledge_is_said(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, says = (cell.strip() for cell in row.split("|"))
    known = {
        version: provenance(**{name: int(value)})
        for version, text in (("1", one), ("2", other))
        for name, value in [text.split()]
    }
    monkeypatch.setattr(live_comparison, "_provenance", lambda _, version: known[version])
    sentences = unequal_knowledge(None, "1", "2")  # type: ignore[arg-type]
    assert len(sentences) == bool(says)
    assert says in " ".join(sentences)


def test_a_patient_without_a_number_counts_alone(tmp_path: Path) -> None:
    store(tmp_path, rows(200, patient=None))
    compared = compare_live(tmp_path, "1", "2")
    assert compared is not None
    assert np.isfinite(compared.differences["all"]["log_loss"].low)
