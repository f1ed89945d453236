"""POST /v1/score: what is asked, what is answered, what is refused and how."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from dnapredict.config.service_config import ServiceLimits
from dnapredict.data.contract.columns import NAMES, REQUIRED
from dnapredict.service.api.request_models import MOST_ROWS, TableShapes

MARK = "zebra-4711"
LARGEST_BODY = int(ServiceLimits().largest_body_mb * 1_048_576)


def appointment(appointment_id: str = "a", **cells: Any) -> dict[str, Any]:
    return {
        "appointment_id": appointment_id,
        "booked_at": "2026-01-05T09:00",
        "starts_at": "2026-02-02T10:20",
        "age_years": 50,
    } | cells


def score(client: TestClient, *appointments: Any, **more: Any) -> Response:
    return client.post("/v1/score", json={"appointments": list(appointments)} | more)


def test_every_appointment_is_answered_once_in_rank_order(client: TestClient) -> None:
    answer = score(client, appointment("young", age_years=20), appointment("old", age_years=80)).json()
    assert [(r["appointment_id"], r["rank"]) for r in answer["results"]] == [("old", 1), ("young", 2)]
    assert answer["model_version"] == "7"


def test_an_answer_holds_what_the_design_fixes_and_nothing_else(client: TestClient) -> None:
    answer = score(client, appointment(age_years=77)).json()
    assert set(answer) == {"model_version", "scored_at", "results"}
    assert answer["results"] == [
        {
            "appointment_id": "a",
            "probability": 0.77,
            "band": "High",
            "rank": 1,
            "selected": True,
            "action": "Call to confirm",
            "reasons": [
                {"factor": "lead_days", "text": "Booked 15 weeks ago"},
                {"factor": "past_dna_rate", "text": "Missed 2 of the last 5 appointments"},
            ],
        }
    ]
    scored_at = datetime.datetime.fromisoformat(answer["scored_at"])
    assert scored_at.utcoffset() == datetime.timedelta(0)


def test_a_row_that_breaks_a_rule_costs_its_own_answer_alone(client: TestClient) -> None:
    answer = score(client, appointment("bad", age_years="old"), appointment("good")).json()
    good, bad = answer["results"]
    assert good["appointment_id"] == "good"
    assert bad == {
        "appointment_id": "bad",
        "error": "holds an age_years that is not a number from 0 to 120",
    }


def test_a_row_without_an_id_is_answered_too(client: TestClient) -> None:
    row = appointment()
    del row["appointment_id"]
    assert score(client, row).json()["results"] == [{"appointment_id": None, "error": "has no appointment_id"}]


def test_reasons_are_left_out_on_request(client: TestClient) -> None:
    assert score(client, appointment(), reasons=False).json()["results"][0]["reasons"] == []


def test_an_empty_list_has_an_empty_answer(client: TestClient) -> None:
    answer = score(client)
    assert answer.status_code == 200
    assert answer.json()["results"] == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "The request is not valid JSON."),
        ("[]", 'Send a JSON object such as {"appointments": [...], "reasons": true}.'),
        ('{"appointments": 3}', "'appointments' must be a list of rows."),
        ('{"appointments": [3]}', "'appointments', row 1 is not an object."),
        (
            '{"appointments": [], "raesons": true}',
            "The request holds an unknown key. Did you mean 'reasons'?",
        ),
        (
            '{"appointments": [{"start_at": "2026-01-01"}]}',
            ("'appointments', row 1 holds a column that the data contract does not know. Did you mean 'starts_at'?"),
        ),
        (
            '{"appointments": [{"age_years": NaN}]}',
            (
                "'appointments', row 1, column 'age_years': expected text of at most 500 characters, "
                "a finite number, true, false or null."
            ),
        ),
        ('{"appointments": [], "reasons": 1}', "'reasons': Input should be a valid boolean."),
    ],
)
def test_a_request_of_another_shape_is_refused_in_one_sentence(client: TestClient, body: str, sentence: str) -> None:
    answer = client.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json() == {"error": sentence}


@pytest.mark.parametrize(
    "body",
    [
        f'{{"{MARK}": 1}}',
        f'{{"appointments": "{MARK}"}}',
        f'{{"appointments": ["{MARK}"]}}',
        f'{{"appointments": [{{"{MARK}": 1}}]}}',
        f'{{"appointments": [{{"age_years": ["{MARK}"]}}]}}',
        f'{{"appointments": [], "reasons": "{MARK}"}}',
        f'{{"appointments": [{{"age_years": "{MARK}',
        f'{{"appointments": [{{"age_years": "{MARK * 60}"}}]}}',
    ],
)
def test_a_refusal_repeats_nothing_of_what_was_sent(client: TestClient, body: str) -> None:
    answer = client.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/vnd.bentoml+pickle", "multipart/form-data; boundary=x", ""]
)
def test_only_json_is_taken(client: TestClient, content_type: str) -> None:
    answer = client.post("/v1/score", content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert answer.json() == {"error": "Send this as application/json."}


def test_a_body_over_the_limit_is_refused_by_its_header(client: TestClient) -> None:
    answer = client.post("/v1/score", content=b" " * (LARGEST_BODY + 1), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json() == {"error": "The request is larger than 8 MB. Send it in parts."}


def test_a_body_over_the_limit_is_refused_where_the_header_does_not_tell(client: TestClient) -> None:
    parts = (b" " * 1_048_576 for _ in range(9))
    answer = client.post("/v1/score", content=parts, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_more_rows_than_the_limit_are_refused_with_a_way_out(client: TestClient) -> None:
    answer = score(client, *({} for _ in range(MOST_ROWS + 1)))
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "'appointments' holds 5,001 rows and may hold 5,000. Send them in parts, "
        "or score the list as a file with `dnapredict score`."
    )


@pytest.mark.parametrize("address", ["/v1/score", "/v1/lists"])
def test_another_method_is_told_which_one_to_use(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_two_appointments_are_a_list_and_are_kept_for_the_page(client: TestClient, home: Path) -> None:
    score(client, appointment("one"))
    assert not (home / "lists").exists()
    score(client, appointment("first", age_years=90), appointment("second"))
    page = client.get("/?show=all").text
    assert page.index("appointment first") < page.index("appointment second")


def test_a_list_that_cannot_be_kept_costs_the_page_and_not_the_answer(client: TestClient, home: Path) -> None:
    home.mkdir(exist_ok=True)  # the service has recorded what its clock says
    (home / "lists").write_text("a file where the folder should be")
    assert score(client, appointment("one"), appointment("two")).status_code == 200


@given(st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=12))
def test_requests_have_few_shapes_and_never_lack_a_column_that_is_filled(requests: list[set[str]]) -> None:
    shapes = TableShapes(most=4)
    first = [shapes.columns_for(filled) for filled in requests]
    for filled, columns in zip(requests, first, strict=True):
        assert filled.union(REQUIRED) <= set(columns)
        assert list(columns) == [name for name in NAMES if name in columns]
        assert len(shapes.columns_for(filled)) <= len(columns)
    assert len(set(first)) <= 1 + 4
