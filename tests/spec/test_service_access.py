"""Who may do what in the service: each row an address, each column somebody who asks for it."""

from typing import Final

import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.service_config import ServiceConfig
from dnapredict.service.auth.access_control import KeyScope, is_guarded, may_reach
from dnapredict.service.pages.page_routes import STATIC_PATH
from dnapredict.service.web import body_types

# score: a booking system. list: a booking team. admin: operations. nobody: whoever has no key, once there is one.
ROLES: Final = """
    method | address                                  | score | list | admin | nobody
    POST   | /v1/score                                | yes   |      | yes   |
    POST   | /v1/lists                                |       | yes  | yes   |
    GET    | /v1/lists/0123456789abcdef               |       | yes  | yes   |
    POST   | /v1/lists/0123456789abcdef/actions       |       | yes  | yes   |
    POST   | /v1/lists/0123456789abcdef/outcomes      |       | yes  | yes   |
    GET    | /v1/model                                | yes   | yes  | yes   |
    GET    | /docs.json                               | yes   | yes  | yes   |
    GET    | /schema.json                             | yes   | yes  | yes   |
    GET    | /metrics                                 |       |      | yes   |
    GET    | /                                        |       | yes  | yes   |
    GET    | /lists                                   |       | yes  | yes   |
    GET    | /lists/0123456789abcdef                  |       | yes  | yes   |
    GET    | /lists/0123456789abcdef/file             |       | yes  | yes   |
    POST   | /lists/0123456789abcdef/outcomes         |       | yes  | yes   |
    GET    | /lists/0123456789abcdef/workbook         |       | yes  | yes   |
    POST   | /lists/0123456789abcdef/workbook         |       | yes  | yes   |
    GET    | /model                                   |       | yes  | yes   |
    GET    | /model/report                            |       | yes  | yes   |
    GET    | /model/report.html                       |       | yes  | yes   |
    GET    | /model/figures.html                      |       | yes  | yes   |
    GET    | /upload                                  |       | yes  | yes   |
    POST   | /upload                                  |       | yes  | yes   |
    POST   | /sign-out                                |       | yes  | yes   |
    GET    | /no-such-page                            |       | yes  | yes   |
    GET    | /livez                                   | yes   | yes  | yes   | yes
    GET    | /readyz                                  | yes   | yes  | yes   | yes
    GET    | /healthz                                 | yes   | yes  | yes   | yes
    GET    | /about                                   | yes   | yes  | yes   | yes
    GET    | /accessibility                           | yes   | yes  | yes   | yes
    GET    | /sign-in                                 | yes   | yes  | yes   | yes
    POST   | /sign-in                                 | yes   | yes  | yes   | yes
    GET    | /static/dnapredict.css                   | yes   | yes  | yes   | yes
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
    /lists/0123456789abcdef/outcomes   | application/x-www-form-urlencoded | 8 kB
    /sign-in                           | application/x-www-form-urlencoded | 8 kB
"""


def rows(table: str) -> list[dict[str, str]]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize("row", rows(ROLES), ids=lambda row: f"{row['method']} {row['address']}")
def test_each_key_reaches_what_its_holder_works_with(row: dict[str, str]):
    is_open = not is_guarded(row["address"], static_path=STATIC_PATH)
    assert is_open == (row["nobody"] == "yes")
    for scope in KeyScope:
        assert (is_open or may_reach({scope}, row["address"])) == (row[scope.value] == "yes")


@pytest.mark.parametrize("row", rows(BODIES), ids=lambda row: row["address"])
def test_each_address_takes_one_kind_of_body_up_to_a_size(row: dict[str, str]):
    limits = load(shipped("serving/service.toml"), ServiceConfig).limits
    mega, kilo = int(limits.largest_body_mb * 1_048_576), int(limits.largest_form_kb * 1_024)
    (kind,) = [each for each in body_types(largest=mega, largest_form=kilo) if each.path.fullmatch(row["address"])]
    assert set(kind.content_types) == {row["as"]}
    number, unit = row["at most"].split()
    assert kind.largest == int(number) * {"MB": 1_048_576, "kB": 1_024}[unit]
