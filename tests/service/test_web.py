"""What the service answers besides scores, and the headers on all of it."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dnapredict.service import app

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
        "/v1/lists/{list_id}/actions", "/v1/lists/{list_id}/outcomes", "/v1/model", "/livez", "/readyz",
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


PERSON = {"accept": "text/html,*/*"}


def test_a_person_reads_a_refusal_as_a_page_and_a_program_as_json(client: TestClient) -> None:
    large = {"file": ("week.csv", b"a" * 9_000_000)}
    page = client.post("/upload", files=large, headers=PERSON)
    assert (page.status_code, page.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "<h1>The file is too large</h1>" in page.text
    assert "The request is larger than 8 MB." in page.text
    for address, headers in (("/upload", {}), ("/v1/lists", PERSON)):
        answer = client.post(address, files=large, headers=headers)
        assert answer.json() == {"error": "The request is larger than 8 MB. Send it in parts."}


def test_a_page_of_a_refusal_has_the_headers_of_every_page(client: TestClient) -> None:
    answer = client.post("/upload", headers=PERSON | {"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert "<h1>You may not do that</h1>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")


def test_the_service_is_built_when_bentoml_asks_for_it_and_not_at_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "service" not in vars(app)
    monkeypatch.setenv("DNAPREDICT_HOME", str(tmp_path))
    monkeypatch.setitem(vars(app), "service", None)  # so that what is built here is taken out again
    monkeypatch.delitem(vars(app), "service")
    built = app.service
    assert built.import_string == "dnapredict.service.app:service"
    assert app.service is built
    with pytest.raises(AttributeError, match="no attribute 'servce'"):
        app.servce  # noqa: B018
