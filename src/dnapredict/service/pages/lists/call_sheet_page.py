"""The call sheet: a page to print, with the remaining calls, the patients' contact details, and boxes to tick.

An A4 page holds at least twelve calls, so each has room for one reason. The sheet is used without a screen, so it has
name, date of birth and telephone numbers as long as the home keeps them.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import DnapredictError
from dnapredict.service.call_outcomes import OFFERED_WORDS, WORDS, Outcome
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.lists.list_pages import ListPages, list_not_found
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_slice import slice_list
from dnapredict.service.pages.lists.list_view import ONE_LIST, list_address
from dnapredict.service.pages.rendering import day_words, error_page, moment_words, page
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.latest_list import KEPT_ROWS
from dnapredict.worklist.plan.working_days import local_today

SHEET: Final = "/sheet"
# Short words that fit beside a box on paper. Other outcomes are printed in their usual words.
_SHORT: Final = {
    "Cancelled by the patient": "Cancelled",
    "Transport arranged": "Transport",
    "Interpreter arranged": "Interpreter",
    "Other mode arranged": "Other mode",
    "Contact details put right": "Details put right",
    "Does not wish to be called": "No calls wished",
    "Call back later": "Call back",
}
# Patients who opted out are not on the sheet, so it needs no box "Wishes to be called again".
BOXES: Final = tuple(_SHORT.get(words, words) for words in OFFERED_WORDS if words != WORDS[Outcome.CALLS_WISHED])
"""The outcomes beside which a box is printed."""


@dataclass(frozen=True)
class SheetLine:
    """A call as the sheet prints it; `who` is None if the home has no contact details for it."""

    place: int
    appointment: str
    who: ContactDetails | None
    about: str
    when: str
    clinic: str
    site: str
    offer: str
    reason: str


def call_sheet_routes(pages: ListPages) -> Sequence[BaseRoute]:
    """The route of the call sheet of a list."""

    def sheet(request: Request) -> Response:
        try:
            kept = pages.lists.shown(request.path_params["list_id"])
            return list_not_found() if kept is None else _sheet_page(pages, kept, request)
        except DnapredictError as error:
            return error_page("The call sheet cannot be shown", str(error), status=status_of(error))

    return [Route(ONE_LIST + SHEET, sheet, methods=["GET"])]


def _sheet_page(pages: ListPages, kept: KeptList, request: Request) -> Response:
    asked = ListQuery.of(request.query_params)
    open_calls = replace(asked, show="to-call", progress=asked.progress or "open", page=1, said=0)
    part = slice_list(kept, open_calls, latest_of=pages.actions.latest, lines_a_page=KEPT_ROWS)
    opted_out = pages.actions.opted_out([row["appointment_id"] for row in part.lines])
    lines = [row for row in part.lines if row["appointment_id"] not in opted_out]
    contacts = pages.lists.contacts(kept.heading.list_id, [row["line"] for row in lines])
    heading = kept.heading
    return page(
        "call_sheet.html",
        here=pages.here(kept, request),
        synthetic=heading.synthetic,
        name=heading.name,
        address=f"{list_address(heading.list_id)}{asked.query()}",
        created_at=moment_words(heading.created_at, heading.zone),
        printed_on=day_words(local_today(heading.zone)),
        filtered=", ".join(word for word in (asked.clinic, part.days.get(asked.day, ""), asked.band) if word),
        has_contacts=bool(contacts),
        lines=_sheet_lines(lines, contacts, pages, zone=heading.zone),
        boxes=BOXES,
        addresses=_addresses(lines, pages.worklist()),
    )


def _sheet_lines(
    rows: Sequence[Mapping[str, Any]],
    contacts: Mapping[int, ContactDetails],
    pages: ListPages,
    *,
    zone: datetime.tzinfo,
) -> list[SheetLine]:
    tried = pages.actions.entries(row["appointment_id"] for row in rows)
    worklist = pages.worklist()
    return [
        SheetLine(
            place=row["rank"],
            appointment=row["appointment_id"],
            who=(who := contacts.get(row["line"])),
            about="" if who is None else _about(who),
            when=moment_words(row["starts_at"], zone),
            clinic=row["clinic_code"] or "",
            site=site.name if (site := worklist.site_of(row["site_code"])) else row["site_code"] or "",
            offer=row["action"] or "",
            reason=_joined(row["reason_1"], _before(len(tried.get(row["appointment_id"], ()))), by=". "),
        )
        for row in rows
    ]


def _addresses(rows: Sequence[Mapping[str, Any]], worklist: WorklistConfig) -> list[str]:
    """The sites of these lines with their addresses. They are below the calls, since a line has no room for them."""
    sites = dict.fromkeys(worklist.site_of(row["site_code"]) for row in rows)
    return [site.words for site in sites if site is not None and site.address]


def _about(who: ContactDetails) -> str:
    """Date of birth, language and time of day, in one line."""
    born = None if who.birth_date is None else f"born {who.birth_date.day} {who.birth_date:%b %Y}"
    return _joined(born, who.language, who.preferred_time, by=", ")


def _joined(*parts: str | None, by: str) -> str:
    return by.join(part for part in parts if part)


def _before(times: int) -> str:
    """The number of earlier calls to the patient, in words; "" for none."""
    return {0: "", 1: "Tried once before"}.get(times, f"Tried {times} times before")
