"""Lists for the tests of the pages, and what a browser sends and shows."""

import re

from httpx import Response
from starlette.testclient import TestClient

MARK = "zebra-4711"
CLINICS, DAYS = ("ENT1", "EYE2"), ("2026-12-07", "2026-12-08")


def week(appointments: int = 40, *, mark: str = "apt") -> str:
    """A list in which the oldest is called first; a tenth is called."""
    lines = [
        f"{mark}-{age:03d},2026-09-01,{DAYS[age % 2]} {9 + age % 8:02d}:00,{age},{CLINICS[age % 4 // 2]}"
        for age in range(20, 20 + appointments)
    ]
    return "\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code", *lines])


def shown(page: str) -> list[str]:
    """The appointments on a page, in its order."""
    return re.findall(r'dna-appointment">.*?(apt-\d+)</th>', page)


def record(client: TestClient, address: str, *, line: object = 1, outcome: str = "confirmed", **asked: str) -> Response:
    return client.post(
        f"{address}/outcomes", data={"line": line, "outcome": outcome}, params=asked, follow_redirects=False
    )


def upload_to(client: TestClient, content: str, name: str = "week-49.csv") -> str:
    """The address of the page of an uploaded list."""
    answer = client.post("/upload", files={"file": (name, content)}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])
