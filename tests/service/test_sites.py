"""Where a patient has to come: name and address of a site for the person who calls, and else its code."""

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.double import CONFIG
from tests.service.pages import upload_to
from tests.spec.test_service_access import rows

from dnapredict.config.worklist_config import Site, WorklistConfig
from dnapredict.service import app
from dnapredict.service.pages.calls.call_card import call_card
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

SITES = (
    Site(code="RXX01", name="Northgate Hospital", address="12 North Road, Anytown"),
    Site(code="EYE", name="Eye unit"),
)
NAMED = CONFIG.model_copy(update={"sites": SITES})

TABLE = """
    site on the list | call mode says
    RXX01            | Clinic ENT1, Northgate Hospital, 12 North Road, Anytown
    rxx01            | Clinic ENT1, Northgate Hospital, 12 North Road, Anytown
    EYE              | Clinic ENT1, Eye unit
    RYY02            | Clinic ENT1, site RYY02
                     | Clinic ENT1
"""


@pytest.mark.parametrize("row", rows(TABLE), ids=lambda row: row["site on the list"] or "none")
def test_call_mode_says_where_to_come(row: dict[str, str]) -> None:
    line = dict.fromkeys(("starts_at", "treatment_function_code", "reason_1", "reason_2", "reason_3", "needs"))
    line |= {"appointment_id": "a", "clinic_code": "ENT1", "site_code": row["site on the list"] or None}
    assert call_card(line, None, worklist=NAMED, zone=LOCAL_ZONE).where == row["call mode says"]


def test_a_site_is_named_once() -> None:
    with pytest.raises(ValidationError, match="site 'RXX01' is named more than once"):
        WorklistConfig.model_validate(CONFIG.model_dump() | {"sites": [*SITES, Site(code="rxx01", name="Other")]})


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(app, "worklist_config", lambda *_: NAMED)
    monkeypatch.setattr("tests.service.double.CONFIG", NAMED)
    with served_at(home) as client:
        yield client


def test_call_mode_call_sheet_and_workbook_have_name_and_address(client: TestClient) -> None:
    lines = [f"apt-{age:03d},2026-09-01,2026-12-07 09:00,{age},ENT1,RXX01" for age in range(20, 60)]
    address = upload_to(
        client, "\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code,site_code", *lines])
    )
    words = "Northgate Hospital, 12 North Road, Anytown"
    assert words in client.get(f"{address}/call").text
    sheet = client.get(f"{address}/sheet").text
    assert "ENT1, Northgate Hospital<" in sheet
    assert sheet.count(words) == 1
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{address}/file").content))
    header, *calls = book["Calls"].iter_rows(values_only=True)
    assert {row[header.index("Site")] for row in calls} == {words}
    assert {row[header.index("Clinic")] for row in calls} == {"ENT1"}
