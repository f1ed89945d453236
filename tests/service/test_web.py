"""What the service answers besides scores, and the headers on all of it."""

import pytest
from starlette.testclient import TestClient

ADDRESSES = ["/", "/about", "/static/dnapredict.css", "/v1/model", "/docs.json", "/livez", "/readyz", "/no"]


def test_the_model_says_what_it_is_for_and_what_it_is_never_for(client: TestClient) -> None:
    answer = client.get("/v1/model").json()
    assert answer["model_version"] == "7"
    assert answer["synthetic"] is True
    assert answer["use"] == "supportive contact"
    assert any("discharge" in use for use in answer["never_for"])


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_may_be_loaded_from_outside_or_kept(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("max-age=3600" if "static" in address else "no-store")
    assert "server" not in headers


def test_the_description_tells_of_every_address_and_refusal(client: TestClient) -> None:
    paths = client.get("/docs.json").json()["paths"]
    assert set(paths) == {
        "/v1/score", "/v1/lists", "/v1/lists/{list_id}",
        "/v1/lists/{list_id}/actions", "/v1/model", "/livez", "/readyz",
    }  # fmt: skip
    assert set(paths["/v1/score"]["post"]["responses"]) == {
        "200", "400", "401", "403", "408", "413", "415", "429", "500", "503", "504",
    }  # fmt: skip


def test_a_wrong_address_is_a_page_for_a_person_and_json_for_a_program(client: TestClient) -> None:
    person = client.get("/no", headers={"accept": "text/html,*/*"})
    program = client.get("/no", headers={"accept": "*/*"})
    assert person.status_code == program.status_code == 404
    assert "There is no such page" in person.text
    assert program.json() == {"error": "There is nothing at this address."}


def test_what_the_framework_would_show_of_itself_is_not_there(client: TestClient) -> None:
    assert client.get("/static_content/index.css").status_code == 404
    assert "bentoml" not in client.get("/").text.lower()
