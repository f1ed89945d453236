"""What was entered about an appointment is on the later export of its list: note, colleague and outcome."""

import datetime
import re

import pytest
from starlette.testclient import TestClient
from tests.service.pages import record, upload_to

from dnapredict.worklist.plan.working_days import local_today

SOON = local_today() + datetime.timedelta(days=9)
NOTE = "Daughter answers after 4 pm"


def export(ages: range, *, at: str = "10:00") -> str:
    """A list on which the oldest is called first."""
    head = "appointment_id,booked_at,starts_at,age_years,clinic_code,person_full_name"
    lines = (f"apt-{age},2026-09-01,{SOON} {at},{age},ENT{age % 2},Alex Sample" for age in ages)
    return "\n".join([head, *lines])


@pytest.mark.parametrize(
    ("later", "line"),
    [
        pytest.param(export(range(20, 60)), 3, id="the same list again"),
        pytest.param(export(range(20, 61)), 4, id="a row more, so that every line has moved"),
        pytest.param(export(range(20, 59)), 2, id="a row fewer"),
        pytest.param(export(range(20, 60), at="14:30"), 3, id="another time"),
    ],
)
def test_a_later_export_has_what_was_entered_about_its_appointments(client: TestClient, later: str, line: int) -> None:
    earlier = upload_to(client, export(range(20, 60)), "monday.csv")
    assert client.post(f"{earlier}/call/3", data={"note": NOTE, "only_note": "1"}).status_code == 200
    assert record(client, earlier, line=3, outcome="no_answer").status_code == 303
    assert client.post(f"{earlier}/assign?show=all&clinic=ENT1", data={"colleague": "Ben Ali"}).status_code == 200

    exported = upload_to(client, later, "tuesday.csv")
    assert exported != earlier
    card = client.get(f"{exported}/call/{line}").text
    assert "apt-57" in card
    assert f">{NOTE}</textarea>" in card
    assert "No answer" in card
    page = client.get(f"{exported}?show=all").text
    rows = re.findall(r'<tr role="row" class="nhsuk-table__row".*?</tr>', page, re.DOTALL)
    handed = {re.findall(r"apt-(\d+)", row)[0] for row in rows if "For Ben Ali" in row}
    assert handed == {str(age) for age in range(21, 60, 2) if f"apt-{age}," in later}
    other = client.get(f"{exported}/call/{line + 1}").text
    assert NOTE not in other


def test_another_list_gets_nothing(client: TestClient) -> None:
    earlier = upload_to(client, export(range(20, 60)), "monday.csv")
    assert client.post(f"{earlier}/call/3", data={"note": NOTE, "only_note": "1"}).status_code == 200
    other = upload_to(client, export(range(20, 60)).replace("apt-", "other-"), "eyes.csv")
    assert NOTE not in "".join(client.get(f"{other}/call/{line}").text for line in range(1, 6))
