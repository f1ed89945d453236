"""The page of one call: the patient and the appointment in words."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.telephones import dialled, is_cut_off
from dnapredict.data.contract.treatment_functions import TREATMENT_FUNCTION
from dnapredict.service.pages.rendering import local_day
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import SPECIALTY
from dnapredict.worklist.files.worklist_columns import REASONS
from dnapredict.worklist.plan.needs import badges_of, kept_needs

# Below this age the parent or carer is called, as in `serving/worklist.toml`.
_CHILD: Final = 16
_A_CHILD: Final = "Child"
_OF_A_CARER: Final = ("age_years", "carer_or_child")
_ASK: Final = "Does it still suit you, and is there anything that would make it easier to come?"
_ASK_A_CARER: Final = "Is there anything that would make it easier to bring them?"
_ENGLISH: Final = frozenset({"", "english", "en", "eng"})


@dataclass(frozen=True)
class Telephone:
    """A telephone number as the list has it, and the number that a link dials; "" if it cannot be dialled.

    A number that `is_cut_off` lost its last digits in a spreadsheet.
    """

    text: str
    address: str
    is_cut_off: bool = False


@dataclass(frozen=True)
class CallCard:
    """One patient and appointment in words; "" for what is not known."""

    heading: str
    appointment_id: str
    born: str
    telephones: tuple[Telephone, ...]
    language: str
    preferred_time: str
    when: str
    where: str
    badges: tuple[str, ...]
    reasons: tuple[str, ...]
    opener: tuple[str, ...]


def call_card(
    row: Mapping[str, Any], details: ContactDetails | None, *, worklist: WorklistConfig, zone: datetime.tzinfo
) -> CallCard:
    """The card of a row of a kept list.

    Parameters
    ----------
    row
        A row of `KeptList.page_rows`.
    details
        Contact details; None if the list never had them or they were deleted.
    worklist
        The needs, and the names and addresses of sites. A patient under 16 by date of birth is also a child.
    """
    needs = kept_needs(worklist, row.get("needs"))
    known = details or ContactDetails()
    day = None if row["starts_at"] is None else local_day(row["starts_at"], zone)
    age, when = _age(known.birth_date, day), long_moment(row["starts_at"], zone)
    is_child = age is not None and age < _CHILD
    badges = dict.fromkeys(badges_of(needs))
    language = "" if (known.language or "").strip().lower() in _ENGLISH else known.language or ""
    return CallCard(
        heading=known.name or f"Appointment {row['appointment_id']}",
        appointment_id=row["appointment_id"],
        born=_born(known.birth_date, age),
        telephones=tuple(Telephone(each, dialled(each) or "", is_cut_off(each)) for each in known.telephones),
        language=known.language or "",
        preferred_time=known.preferred_time or "",
        when=when,
        where=_where(row, worklist),
        badges=(
            *(badges | ({_A_CHILD: None} if is_child else {})),
            *((f"Speaks {language}",) if language else ()),
        ),
        reasons=tuple(row[name] for name in REASONS if row[name]),
        # No opening sentence for a patient who gets a letter instead of a call.
        opener=()
        if any(need.verb for need in needs)
        else opener(
            known.name or "",
            for_carer=is_child or any(need.whom and need.column in _OF_A_CARER for need in needs),
            interpreter=any(need.kind == "interpreter" for need in needs),
            language=language,
            when=when,
        ),
    )


def opener(name: str, *, for_carer: bool, interpreter: bool, language: str, when: str) -> tuple[str, ...]:
    """What to say first: two lines, after one about the interpreter if one is needed.

    The first line names no clinic: the person who answers may not know about the appointment.

    >>> for line in opener("Sam Jones", for_carer=True, interpreter=False, language="", when="Monday"):
    ...     print(line)
    Hello, I am calling from the hospital. May I speak to the parent or carer of Sam Jones?
    I am calling about Sam's appointment on Monday. Is there anything that would make it easier to bring them?
    """
    first = f"{name.split()[0]}'s" if name else "the"
    if for_carer:
        whom = f"the parent or carer of {name or 'the patient'}"
        second = f"I am calling about {first} appointment{_on(when)}. " + _ASK_A_CARER
    else:
        whom, second = name or "the patient", f"I am calling about your appointment{_on(when)}. " + _ASK
    lines = (f"Hello, I am calling from the hospital. May I speak to {whom}?", second)
    with_one = f"Call with an interpreter{f' ({language})' if language else ''} on the line."
    return (with_one, *lines) if interpreter else lines


def long_moment(moment: datetime.datetime | None, zone: datetime.tzinfo) -> str:
    """A time with its weekday in full; only the date where the list has no clock time, "" for None.

    >>> long_moment(datetime.datetime(2026, 7, 1, 8, 5), datetime.UTC)
    'Wednesday 1 July 2026 at 08:05'
    """
    if moment is None:
        return ""
    local = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(zone)
    day = f"{local:%A} {local.day} {local:%B %Y}"
    return day if (local.hour, local.minute, local.second) == (23, 59, 59) else f"{day} at {local:%H:%M}"


def _on(when: str) -> str:
    return f" on {when}" if when else ""


def _age(born: datetime.date | None, day: datetime.date | None) -> int | None:
    """The age in whole years on the day of the appointment."""
    if born is None or day is None:
        return None
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _born(born: datetime.date | None, age: int | None) -> str:
    if born is None:
        return ""
    text = f"{born.day} {born:%B %Y}"
    return text if age is None else f"{text} (age {age})"


def _where(row: Mapping[str, Any], worklist: WorklistConfig) -> str:
    """Specialty, clinic and site, each where it is known; the site with its name and address where those are."""
    code = (row.get(SPECIALTY) or "").strip()
    name = TREATMENT_FUNCTION.get(code.zfill(3), "") if code else ""
    clinic, site = row.get("clinic_code"), row.get("site_code")
    known = worklist.site_of(site)
    place = known.words if known else f"site {site}" if site else ""
    parts = (name[:1].upper() + name[1:], f"clinic {clinic}" if clinic else "", place)
    text = ", ".join(part for part in parts if part)
    return text[:1].upper() + text[1:]
