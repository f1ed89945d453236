"""People sign in as themselves: who is signed in is shown, stands beside each entry, and decides what is open."""

import datetime
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to, week
from tests.service.test_failed_keys import sign_in
from typer.testing import CliRunner

from dnapredict.cli.program import app
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth import api_keys, sign_in_links
from dnapredict.service.auth.api_keys import KeyScope
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files import list_store

HTML = {"accept": "text/html"}
OWN_CLICK = HTML | {"sec-fetch-site": "none"}


@pytest.fixture
def ada(home: Path) -> api_keys.MadeKey:
    """The personal key of a clerk of the team North."""
    return api_keys.create_personal(home, name="Ada Okafor", team="North", role=StaffRole.CLERK)


@pytest.fixture
def eve(home: Path) -> api_keys.MadeKey:
    """The personal key of a reviewer."""
    return api_keys.create_personal(home, name="Eve Marsh", team="", role=StaffRole.REVIEWER)


@pytest.fixture
def shut(home: Path, ada: api_keys.MadeKey, eve: api_keys.MadeKey) -> Iterator[TestClient]:  # noqa: ARG001
    """The service of a home with personal keys."""
    with served_at(home) as client:
        yield client


def test_who_is_signed_in_stands_in_the_header_of_every_page(shut: TestClient, ada: api_keys.MadeKey) -> None:
    sign_in(shut, ada.token)
    for address in ("/", "/lists", "/upload", "/model", "/about", "/accessibility", "/sign-in", "/no-such-page"):
        assert "Signed in as </span>Ada Okafor, clerk, North" in shut.get(address, headers=HTML).text, address
    shut.post("/sign-out")
    assert "Ada Okafor" not in shut.get("/about").text


def test_who_and_when_stand_beside_an_entry(shut: TestClient, ada: api_keys.MadeKey) -> None:
    sign_in(shut, ada.token)
    address = shut.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
    record(shut, address)
    said = datetime.datetime.now().astimezone(datetime.UTC)
    entry = re.search(r'<p class="dna-taken">.*?</p>', shut.get(address).text, re.S)
    assert entry is not None
    assert "Confirmed" in entry[0]
    assert "Ada Okafor" in entry[0]
    assert str(said.year) in entry[0]


def test_a_key_made_before_works_and_is_shown_as_a_team_key(home: Path, shut: TestClient) -> None:
    made = api_keys.create(home, name="booking-team", scopes=(KeyScope.LIST,))
    path = home / "keys" / f"{made.key.key_id}.json"
    before = json.loads(path.read_text())
    del before["team"], before["role"]  # as an earlier release wrote it
    path.write_text(json.dumps(before))
    api_keys.time.sleep(1.1)  # a worker's memory of the keys
    sign_in(shut, made.token)
    page = shut.get("/").text
    assert "booking-team (team key)" in page
    assert 'href="/upload"' in page


def test_a_reviewer_sees_the_model_and_no_page_with_patients(
    shut: TestClient, ada: api_keys.MadeKey, eve: api_keys.MadeKey
) -> None:
    sign_in(shut, ada.token)
    address = shut.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
    shut.cookies.clear()
    assert sign_in(shut, eve.token).headers["location"] == "/model"
    page = shut.get("/model", headers=HTML).text
    assert 'href="/upload"' not in page
    assert 'href="/lists"' not in page
    for path in (address, f"{address}/file", "/lists", "/v1" + address):
        refused = shut.get(path, headers=HTML)
        assert refused.status_code == 403
        assert "apt-" not in refused.text
    refused = shut.get("/lists", headers=HTML)
    assert "You are signed in as a reviewer. This role may not open this page." in refused.text
    assert shut.get("/", headers=HTML, follow_redirects=False).headers["location"] == "/model"


CLI = CliRunner()


def keys(home: Path, *words: str) -> str:
    done = CLI.invoke(app, ["keys", *words, "--home", str(home)], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_personal_key_is_made_listed_and_revoked_on_the_command_line(home: Path) -> None:
    keys(home, "create", "--person", "Ada Okafor", "--team", "North", "--role", "team lead")
    keys(home, "create", "booking-system", "--scope", "score")
    listed = keys(home, "list")
    assert "Ada Okafor  team lead (personal key)  team North" in listed
    assert "booking-system  score  made" in listed
    person, system = sorted(api_keys.all_keys(home), key=lambda key: key.name)
    assert (person.role, person.team, person.scopes) == (StaffRole.TEAM_LEAD, "North", ())
    assert (system.role, system.team) == (None, "")
    assert "Ada Okafor: revoked." in keys(home, "revoke", person.key_id)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create",), "Name either the system or team that will use the key, or the person"),
        (("create", "team", "--person", "Ada"), "Name either the system or team"),
        (("create", "--person", "Ada"), "A clerk works on the lists of a team: name it with --team."),
        (("create", "--person", "Ada", "--role", "boss"), "There is no role 'boss'. Roles: clerk, team lead, reviewer"),
        (("create", "--person", "Ada", "--team", "N", "--scope", "list"), "A personal key has a role and no scopes."),
        (("create", "team", "--role", "clerk"), "--role is for a personal key"),
        (("create", "--person", " ", "--role", "reviewer"), "printable characters"),
        (("create", "--person", "", "--role", "reviewer"), "needs the name of the person"),
        (("create", "--person", "x" * 81, "--role", "reviewer"), "at most 80 printable"),
        (("link", "0123abcd"), "There is no valid key '0123abcd'."),
    ],
)
def test_a_key_that_would_name_nobody_is_not_made(home: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        keys(home, *words)
    assert not (home / "keys").exists()


def test_a_link_signs_one_person_in_once(home: Path, shut: TestClient, ada: api_keys.MadeKey) -> None:
    path = sign_in_links.create(home, ada.key.key_id)
    first = shut.get(path, headers=OWN_CLICK, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert "Ada Okafor" in shut.get("/", headers=HTML).text
    shut.cookies.clear()
    second = shut.get(path, headers=OWN_CLICK)
    assert second.status_code == 404
    assert "This link does not work any more" in second.text
    assert "dnapredict_session" not in second.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none", "sec-purpose": "prefetch"},
    ],
    ids=["a mail program's preview", "a page of another site", "a browser that fetches ahead"],
)
def test_a_link_that_nobody_clicked_is_not_used_up(
    home: Path, shut: TestClient, ada: api_keys.MadeKey, headers: dict[str, str]
) -> None:
    path = sign_in_links.create(home, ada.key.key_id)
    shut.head(path, headers=OWN_CLICK)
    asked = shut.get(path, headers=HTML | headers)
    assert "set-cookie" not in asked.headers
    assert "Sign in as Ada Okafor, clerk, North" in asked.text
    done = shut.post(path, headers={"content-type": "application/x-www-form-urlencoded"}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/")


def test_a_form_on_another_site_uses_no_link(home: Path, shut: TestClient, ada: api_keys.MadeKey) -> None:
    path = sign_in_links.create(home, ada.key.key_id)
    assert shut.post(path, headers={"origin": "http://evil.example"}, follow_redirects=False).status_code == 403
    assert sign_in_links.find(home, path.removeprefix(sign_in_links.LINK)) == ada.key.key_id


SPOILS: dict[str, Callable[[pytest.MonkeyPatch, Path, str], object]] = {
    "after its time": lambda monkeypatch, _, __: monkeypatch.setattr(
        sign_in_links, "_now", lambda: datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=31)
    ),
    "once its key is revoked": lambda _, home, key_id: (api_keys.revoke(home, key_id), api_keys.time.sleep(1.1)),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_link_does_not_work(
    home: Path, shut: TestClient, ada: api_keys.MadeKey, monkeypatch: pytest.MonkeyPatch, spoil
) -> None:
    path = sign_in_links.create(home, ada.key.key_id)
    spoil(monkeypatch, home, ada.key.key_id)
    assert shut.get(path, headers=OWN_CLICK, follow_redirects=False).status_code == 404


@pytest.mark.parametrize("days", [1 / 24, 400], ids=["an hour", "400 days"])
def test_a_link_made_while_the_clock_was_ahead_signs_nobody_in(
    home: Path, ada: api_keys.MadeKey, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    with monkeypatch.context() as ahead:
        made_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        ahead.setattr(sign_in_links, "_now", lambda: made_at)
        token = sign_in_links.create(home, ada.key.key_id).removeprefix(sign_in_links.LINK)
    assert sign_in_links.find(home, token) is None
    assert sign_in_links.use(home, token) is None


def test_a_link_of_an_earlier_release_lasts_a_day_at_most(home: Path, ada: api_keys.MadeKey) -> None:
    found = []
    for days in (0.5, 400):
        token = sign_in_links.create(home, ada.key.key_id).removeprefix(sign_in_links.LINK)
        (path,) = (home / "sign-in" / "links").glob("*.json")
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        path.write_text(json.dumps({"key_id": ada.key.key_id, "until": until.isoformat()}))
        found.append(sign_in_links.find(home, token))
        path.unlink()
    assert found == [ada.key.key_id, None]


def test_the_token_of_a_link_is_nowhere_in_the_home_and_old_ones_are_removed(
    home: Path, ada: api_keys.MadeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in_links.create(home, ada.key.key_id).removeprefix(sign_in_links.LINK)
    assert not any(token in path.read_text() or token in path.name for path in home.rglob("*") if path.is_file())
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    monkeypatch.setattr(sign_in_links, "_now", lambda: later)
    sign_in_links.create(home, ada.key.key_id)
    assert len(list((home / "sign-in" / "links").iterdir())) == 1


def test_a_link_of_a_revoked_key_is_not_made_and_a_damaged_one_signs_nobody_in(
    home: Path, ada: api_keys.MadeKey
) -> None:
    token = sign_in_links.create(home, ada.key.key_id).removeprefix(sign_in_links.LINK)
    (file,) = (home / "sign-in" / "links").iterdir()
    file.write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        sign_in_links.use(home, token)
    api_keys.revoke(home, ada.key.key_id)
    with pytest.raises(UsageError, match="There is no valid key"):
        sign_in_links.create(home, ada.key.key_id)


def test_of_two_who_open_a_link_at_once_one_is_signed_in(home: Path, ada: api_keys.MadeKey) -> None:
    from concurrent.futures import ThreadPoolExecutor

    token = sign_in_links.create(home, ada.key.key_id).removeprefix(sign_in_links.LINK)
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: sign_in_links.use(home, token), range(8)))
    assert (used.count(ada.key.key_id), used.count(None)) == (1, 7)


def test_after_signing_in_the_page_that_was_asked_for_is_shown(shut: TestClient, ada: api_keys.MadeKey) -> None:
    shown = shut.get("/lists?page=2", headers=HTML, follow_redirects=False).headers["location"]
    assert shown == "/sign-in?next=%2Flists%3Fpage%3D2"
    form = shut.get(shown, headers=HTML).text
    assert 'name="next" value="/lists?page=2"' in form
    data = {"key": ada.token, "next": "/lists?page=2"}
    assert shut.post("/sign-in", data=data, follow_redirects=False).headers["location"] == "/lists?page=2"


def test_a_form_that_outlived_its_session_is_sent_again_after_signing_in(
    shut: TestClient, ada: api_keys.MadeKey
) -> None:
    sign_in(shut, ada.token)
    address = shut.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
    shut.cookies.clear()
    typed = {"seen": "", "outcome": "no_answer", "barrier": "work", "note": "Ring after 5 & ask for <Sam>"}
    asked = shut.post(f"{address}/call/1", data=typed, headers=HTML)
    assert "Nothing that you typed is lost" in asked.text
    wrong = shut.post("/sign-in", data=_hidden(asked.text) | {"key": "dnap_wrong"}, headers=HTML)
    assert wrong.status_code == 403
    again = shut.post("/sign-in", data=_hidden(wrong.text) | {"key": ada.token}, headers=HTML)
    for words in ("No answer", "Work", "Ring after 5 &amp; ask for &lt;Sam&gt;", "Send it as Ada Okafor"):
        assert words in again.text, words
    assert f'<a href="{address}/call/1">Do not send it</a>' in again.text
    assert _hidden(again.text) == typed
    done = shut.post(f"{address}/call/1", data=_hidden(again.text), headers=HTML)
    assert "No answer" in done.text
    assert typed["note"] in html.unescape(shut.get(f"{address}/call/1", headers=HTML).text)


def _hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's main form."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def test_a_form_that_is_none_of_these_pages_is_not_carried_through_signing_in(
    shut: TestClient, ada: api_keys.MadeKey
) -> None:
    for address, body in (("//evil.example/a", "a=1"), ("/v1/score", "a=1"), ("/lists", "a=" + "x" * 5_000)):
        data = {"key": ada.token, "form": address, "sent": body}
        assert shut.post("/sign-in", data=data, follow_redirects=False).headers["location"] == "/", address
    foreign = shut.post("/sign-in/unsent?form=/lists", data={"a": "1"}, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


def test_a_file_that_outlived_its_session_leads_back_to_the_upload(shut: TestClient) -> None:
    sent = shut.post("/upload", files={"file": ("w.csv", week())}, headers=HTML, follow_redirects=False)
    assert sent.headers["location"] == "/sign-in?next=%2Fupload&lost=1"
    assert "what you sent last was <strong>not</strong> recorded" in shut.get(sent.headers["location"]).text


ELSEWHERE = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n//evil.example",
    "/lists\r\nset-cookie: a=b",
    " //evil.example",
    "evil.example",
    "/sign-out",
    "/sign-in?next=/sign-in",
    "/v1/model",
    "/é",
    "/" + "x" * 500,
]


@pytest.mark.parametrize("asked", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_signing_in(shut: TestClient, ada: api_keys.MadeKey, asked: str) -> None:
    form = shut.get("/sign-in", params={"next": asked}, headers=HTML).text
    assert 'name="next" value=""' in form
    done = shut.post("/sign-in", data={"key": ada.token, "next": asked}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/")


def test_a_page_of_another_role_is_not_shown_after_signing_in(shut: TestClient, eve: api_keys.MadeKey) -> None:
    done = shut.post("/sign-in", data={"key": eve.token, "next": "/lists"}, follow_redirects=False)
    assert done.headers["location"] == "/model"


def test_a_session_that_somebody_planted_is_not_carried_on(shut: TestClient, ada: api_keys.MadeKey) -> None:
    planted = "0123abcd.99999999999." + "0" * 96
    shut.cookies.set("dnapredict_session", planted)
    cookie = sign_in(shut, ada.token).headers["set-cookie"]
    assert planted not in cookie
    assert cookie.startswith(f"dnapredict_session={ada.key.key_id}.")


def test_while_no_key_exists_the_sign_in_page_says_that_nobody_has_to_sign_in(client: TestClient) -> None:
    assert "nobody has to sign in on this computer" in client.get("/sign-in").text
    assert "Signed in as" not in client.get("/").text


def test_the_sign_in_page_says_in_words_what_to_do(shut: TestClient, ada: api_keys.MadeKey) -> None:
    assert "Enter your key." in shut.post("/sign-in", data={"key": ""}).text
    assert "This is not a key that opens these pages." in shut.post("/sign-in", data={"key": "dnap_x"}).text
    page = shut.get("/sign-in").text
    assert "Ask the person who runs dnapredict at your trust." in page
    sign_in(shut, ada.token)
    assert "You are signed in as Ada Okafor, clerk, North." in shut.get("/sign-in").text


def figures(page: str) -> str:
    """What the page of a week says, without its header."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]).split())


def test_a_reviewer_sees_the_figures_of_a_week_as_its_team_does_and_another_team_none_of_them(
    home: Path, shut: TestClient, ada: api_keys.MadeKey, eve: api_keys.MadeKey
) -> None:
    # What is hidden of a team is the same for every reader: from two versions one could take the difference.
    bea = api_keys.create_personal(home, name="Bea Lund", team="South", role=StaffRole.CLERK)
    api_keys.time.sleep(1.1)  # a worker's memory of the keys
    sign_in(shut, ada.token)
    address = upload_to(shut, week(200))
    of_the_most_deprived_fifth(home, address.rpartition("/")[2])
    for line in range(1, 21):
        assert record(shut, address, line=line).status_code == 303
    seen = {}
    for name, each in {"Ada": ada, "Bea": bea, "Eve": eve}.items():
        shut.cookies.clear()
        sign_in(shut, each.token)
        seen[name] = figures(shut.get("/week", headers=HTML).text)
    for name in ("Ada", "Eve"):
        assert "The most deprived fifth of England Called 20 Reached 20" in seen[name]
    assert "The most deprived fifth of England Called 0 Reached 0" in seen["Bea"]


def of_the_most_deprived_fifth(home: Path, list_id: str) -> None:
    """Make every patient of a kept list one of the most deprived fifth."""
    kept = list_store.find(home, list_id)
    assert kept is not None
    fifths = pa.array([1] * kept.worklist.num_rows)
    list_store.keep_changed(home, replace(kept, worklist=kept.worklist.append_column("imd_fifth", fifths)))
