"""Who may do what in the service: each row an address, each column somebody who asks for it."""

from typing import Final

import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.service_config import ServiceConfig
from dnapredict.service.auth.access_control import is_guarded
from dnapredict.service.auth.permissions import KeyScope, first_page, may_reach
from dnapredict.service.auth.staff import Person, StaffRole, may_delete, may_see
from dnapredict.service.pages.page_routes import STATIC_PATH
from dnapredict.service.web import body_types

# Shared keys by scope: score is a booking system, list a booking team, admin operations. Personal keys by role: clerk,
# team lead, reviewer, administrator. nobody: whoever has no key, once there is one.
ROLES: Final = """
    method | address                            | score | list | admin | clerk | lead | reviewer | administrator | nobody
    POST   | /v1/score                          | yes   |      | yes   |       |      |          | yes           |
    POST   | /v1/lists                          |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /v1/lists/0123456789abcdef         |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /v1/lists/0123456789abcdef/actions |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /v1/lists/0123456789abcdef/outcomes |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /v1/model                          | yes   | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /docs.json                         | yes   | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /schema.json                       | yes   | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /metrics                           |       |      | yes   |       |      |          | yes           |
    GET    | /                                  |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists                             |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef            |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/file       |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/live       |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/outcomes   |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/workbook   |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/workbook   |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/sheet      |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/call       |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/call/7     |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/call/7     |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/search     |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /week                              |       | yes  | yes   | yes   | yes  | yes      | yes           |
    POST   | /lists/0123456789abcdef/mend       |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/assign     |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /lists/0123456789abcdef/delete     |       |      | yes   |       | yes  |          | yes           |
    POST   | /lists/0123456789abcdef/delete     |       |      | yes   |       | yes  |          | yes           |
    GET    | /model                             |       | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /model/report                      |       | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /model/report.html                 |       | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /model/figures.html                |       | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /model/monitor                     |       |      | yes   |       | yes  | yes      | yes           |
    GET    | /upload                            |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /upload                            |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /upload/columns                    |       | yes  | yes   | yes   | yes  |          | yes           |
    POST   | /sign-out                          |       | yes  | yes   | yes   | yes  | yes      | yes           |
    GET    | /no-such-page                      |       | yes  | yes   | yes   | yes  |          | yes           |
    GET    | /livez                             | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /readyz                            | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /healthz                           | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /about                             | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /accessibility                     | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /sign-in                           | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    POST   | /sign-in                           | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    POST   | /sign-in/unsent                    | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /sign-in/openid                    | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /sign-in/openid/return             | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /sign-in/link/0123456789abcdef     | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    POST   | /sign-in/link/0123456789abcdef     | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
    GET    | /static/dnapredict.css             | yes   | yes  | yes   | yes   | yes  | yes      | yes           | yes
"""
COLUMNS: Final = {scope: scope.value for scope in KeyScope} | {
    StaffRole.CLERK: "clerk",
    StaffRole.TEAM_LEAD: "lead",
    StaffRole.REVIEWER: "reviewer",
    StaffRole.ADMINISTRATOR: "administrator",
}
# Whose lists: a row is somebody who is signed in, a column the team that a list belongs to.
LISTS: Final = """
    role          | team  | North | South | of no team
    clerk         | North | yes   |       | yes
    team lead     | North | yes   |       | yes
    clerk         | South |       | yes   | yes
    reviewer      |       |       |       |
    reviewer      | North |       |       |
    administrator |       | yes   | yes   | yes
    administrator | North | yes   | yes   | yes
    a team key    |       | yes   | yes   | yes
    a team key    | North | yes   |       | yes
    nobody        |       |       |       |
"""
# Who may delete a list: a row is somebody who is signed in, a column the team that the list belongs to.
DELETIONS: Final = """
    role          | team  | North | South | of no team
    clerk         | North |       |       |
    team lead     | North | yes   |       |
    team lead     | South |       | yes   |
    reviewer      | North |       |       |
    administrator |       | yes   | yes   | yes
    a team key    | North |       |       |
"""
# The first page after signing in, where no other was asked for.
FIRST_PAGES: Final = """
    who           | page
    list          | /
    admin         | /
    clerk         | /
    lead          | /
    administrator | /
    reviewer      | /model
"""
# What may be sent: by default, in `serving/service.toml`. Everything else takes no body.
BODIES: Final = """
    address                            | as                                | at most
    /v1/score                          | application/json                  | 8 MB
    /v1/lists                          | multipart/form-data               | 8 MB
    /v1/lists/0123456789abcdef/actions | application/json                  | 8 kB
    /v1/lists/0123456789abcdef/outcomes | multipart/form-data              | 8 MB
    /lists/0123456789abcdef/workbook   | multipart/form-data               | 8 MB
    /upload                            | multipart/form-data               | 8 MB
    /upload/columns                    | application/x-www-form-urlencoded | 8 kB
    /lists/0123456789abcdef/outcomes   | application/x-www-form-urlencoded | 8 kB
    /lists/0123456789abcdef/call/7     | application/x-www-form-urlencoded | 8 kB
    /lists/0123456789abcdef/search     | application/x-www-form-urlencoded | 8 kB
    /lists/0123456789abcdef/mend       | application/x-www-form-urlencoded | 8 kB
    /lists/0123456789abcdef/assign     | application/x-www-form-urlencoded | 8 kB
    /sign-in                           | application/x-www-form-urlencoded | 8 kB
    /sign-in/unsent                    | application/x-www-form-urlencoded | 8 kB
    /sign-in/link/0123456789abcdef     | application/x-www-form-urlencoded | 8 kB
"""


def rows(table: str) -> list[dict[str, str]]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize("row", rows(ROLES), ids=lambda row: f"{row['method']} {row['address']}")
def test_each_key_reaches_what_its_holder_works_with(row: dict[str, str]):
    is_open = not is_guarded(row["address"], static_path=STATIC_PATH)
    assert is_open == (row["nobody"] == "yes")
    for holds, column in COLUMNS.items():
        assert (is_open or may_reach({holds}, row["address"])) == (row[column] == "yes"), column


def person_in(row: dict[str, str]) -> Person | None:
    if row["role"] == "nobody":
        return None
    is_shared = row["role"] == "a team key"
    role = StaffRole.CLERK if is_shared else StaffRole(row["role"])
    return Person("0123abcd", "Ada Okafor", row["team"], role, is_shared=is_shared)


@pytest.mark.parametrize("row", rows(LISTS), ids=lambda row: f"{row['role']} {row['team']}")
def test_a_team_sees_its_own_lists_and_those_of_no_team(row: dict[str, str]):
    for team in ("North", "South", "of no team"):
        assert may_see(person_in(row), "" if team == "of no team" else team) == (row[team] == "yes"), team


@pytest.mark.parametrize("row", rows(DELETIONS), ids=lambda row: f"{row['role']} {row['team']}")
def test_a_team_lead_deletes_lists_of_the_team_and_an_administrator_any(row: dict[str, str]):
    person = person_in(row)
    assert person is not None
    for team in ("North", "South", "of no team"):
        assert may_delete(person, "" if team == "of no team" else team) == (row[team] == "yes"), team


@pytest.mark.parametrize("row", rows(FIRST_PAGES), ids=lambda row: row["who"])
def test_after_signing_in_each_sees_a_page_that_they_may_open(row: dict[str, str]):
    (holds,) = [each for each, column in COLUMNS.items() if column == row["who"]]
    assert first_page({holds}) == row["page"]
    assert may_reach({holds}, row["page"])


@pytest.mark.parametrize("row", rows(BODIES), ids=lambda row: row["address"])
def test_each_address_takes_one_kind_of_body_up_to_a_size(row: dict[str, str]):
    limits = load(shipped("serving/service.toml"), ServiceConfig).limits
    mega, kilo = int(limits.largest_body_mb * 1_048_576), int(limits.largest_form_kb * 1_024)
    (kind,) = [each for each in body_types(largest=mega, largest_form=kilo) if each.path.fullmatch(row["address"])]
    assert set(kind.content_types) == {row["as"]}
    number, unit = row["at most"].split()
    assert kind.largest == int(number) * {"MB": 1_048_576, "kB": 1_024}[unit]
