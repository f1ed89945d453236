"""NHS national codes and their meanings, in one place.

Source: NHS Data Model and Dictionary, June 2026 archive. The dictionary is replacing ATTENDED
OR DID NOT ATTEND CODE by ATTENDANCE STATUS, so no other file spells out a meaning. CONSULTATION MEDIUM
USED (01 to 04) and its successor CONSULTATION MECHANISM share one table: common codes have the same
meaning, and 03 exists in the older one only.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


def _codes(**meanings: str) -> Mapping[str, str]:
    return MappingProxyType({code.removeprefix("c"): text for code, text in meanings.items()})


OUTCOME: Final = _codes(
    c5="attended on time",
    c6="arrived late, was seen",
    c7="arrived late, could not be seen",
    c2="cancelled by or for the patient",
    c3="did not attend, no advance warning",
    c4="cancelled or postponed by the provider",
    c0="not applicable, appointment in the future",
)
ATTENDED: Final = ("5", "6")
MISSED: Final = ("3", "7")
ARRIVED_TOO_LATE: Final = "7"
CANCELLED_BY_PATIENT: Final = "2"
CANCELLED_BY_PROVIDER: Final = "4"
NOT_APPLICABLE: Final = "0"
RECORDED: Final = (CANCELLED_BY_PATIENT, CANCELLED_BY_PROVIDER, *MISSED, *ATTENDED)
"""Outcomes of an appointment that took place, was missed or was cancelled."""

FIRST_ATTENDANCE: Final = _codes(
    c1="first attendance face to face",
    c2="follow-up attendance face to face",
    c3="first attendance by telephone or telemedicine",
    c4="follow-up attendance by telephone or telemedicine",
    c5="clock-stop administrative event",
)
FOLLOW_UP: Final = ("2", "4")
REMOTE_FIRST_ATTENDANCE: Final = ("3", "4")
ADMINISTRATIVE_EVENT: Final = "5"

CONSULTATION_MECHANISM: Final = _codes(
    c01="face to face",
    c02="telephone",
    c03="telemedicine",
    c04="talk type for a person unable to speak",
    c05="email",
    c09="asynchronous text message",
    c10="instant message",
    c11="video",
    c12="message board",
    c13="chat room",
    c98="other",
)
REMOTE_MECHANISMS: Final = ("02", "03", "04", "05", "09", "10", "11", "12", "13")

PRIORITY_TYPE: Final = _codes(c1="routine", c2="urgent", c3="two week wait")

TRIAL_ARM: Final = _codes(TREATMENT="may be called, as the list says", CONTROL="not called, whatever the risk")
TREATMENT: Final = "TREATMENT"
CONTROL: Final = "CONTROL"

BARRIER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "transport": "Transport",
        "work": "Work",
        "caring": "Caring for somebody",
        "letter_not_received": "Letter not received",
        "wrong_time": "The time does not suit",
        "fear": "Fear or worry",
        "cost": "Cost",
        "forgot": "Had forgotten",
        "other": "Something else",
    }
)
"""What makes it hard to come, as patients say when they are called; recorded by the service, and in no extract."""

GENDER: Final = _codes(c1="male", c2="female", c9="indeterminate", cX="not known")

REFERRAL_SOURCE: Final = _codes(
    c01="consultant, after an emergency admission",
    c02="consultant, after a domiciliary visit",
    c03="general medical practitioner",
    c04="emergency department",
    c05="another consultant",
    c06="self-referral",
    c07="prosthetist",
    c10="consultant, after an emergency department attendance",
    c11="consultant, other",
    c12="general practitioner with a special interest",
    c13="specialist nurse",
    c14="allied health professional",
    c15="optometrist",
    c16="orthoptist",
    c17="national screening programme",
    c92="general dental practitioner",
    c93="community dental service",
    c97="other",
)

ETHNIC_CATEGORY: Final = _codes(
    A="White: British",
    B="White: Irish",
    C="White: any other",
    D="Mixed: White and Black Caribbean",
    E="Mixed: White and Black African",
    F="Mixed: White and Asian",
    G="Mixed: any other",
    H="Asian: Indian",
    J="Asian: Pakistani",
    K="Asian: Bangladeshi",
    L="Asian: any other",
    M="Black: Caribbean",
    N="Black: African",
    P="Black: any other",
    R="Other: Chinese",
    S="Other: any other ethnic group",
    Z="not stated (asked, declined)",
    c99="not known (not asked)",
    X="not known (hospital statistics)",
)
RTT_STATUS: Final = _codes(
    c10="first activity of the referral to treatment period",
    c11="first activity after active monitoring",
    c12="first activity after a consultant referral for another condition",
    c20="subsequent activity, further activity anticipated",
    c21="transfer to another provider",
    c30="start of first definitive treatment",
    c31="start of active monitoring, by the patient",
    c32="start of active monitoring, by the care professional",
    c33="did not attend the first activity",
    c34="decision not to treat",
    c35="patient declined treatment",
    c36="patient died before treatment",
    c90="after first definitive treatment",
    c91="during active monitoring",
    c92="not yet referred for treatment",
    c98="not applicable",
    c99="not yet known",
)

UNKNOWN_ETHNICITY: Final = ("Z", "99", "X")
# A cell that is a code of ETHNIC CATEGORY. "The national code must be transmitted as the first
# character [...]. The second character is optional for use locally." Only a local digit is accepted: with a
# second letter, words and country codes (No, Na, GB, PL) would be read as ethnic groups.
WHOLE_ETHNIC_CODE: Final = r"^(99|[Xx]|[A-HJ-NPRSZa-hj-nprsz][0-9]?)$"

# Values of ORGANISATION SITE IDENTIFIER that name no hospital site: read as blank.
NOT_A_SITE: Final = _codes(R9998="not a hospital site", c89997="provider outside the United Kingdom")

# Answers of a flag that some extracts write as text, in small letters.
_NO: Final = (
    *("n", "no", "0", "f", "false", "none", "nil", "none known"),
    *("no disability", "no disabilities", "not disabled"),
)
_NOT_STATED: Final = (
    *("", "z", "x", "u", "9", "99", "unknown", "not known", "not stated", "nk", "n/k"),
    *("declined", "refused", "prefer not to say", "undisclosed"),
)
# Other values that begin with these words ("not asked", "no answer") mean neither yes nor no.
_NEGATED: Final = ("no ", "not ", "none ", "n/")


def flag_answer(value: bool | str | None) -> str:
    """The answer of a flag, "yes", "no" or "unknown"; as text, N is no, and a description is yes.

    >>> [flag_answer(value) for value in (True, False, None, "Y", "N", " ", "Z")]
    ['yes', 'no', 'unknown', 'yes', 'no', 'unknown', 'unknown']
    >>> [flag_answer(value) for value in ("Hearing", "No disability", "Not asked")]
    ['yes', 'no', 'unknown']
    """
    if isinstance(value, str):
        word = " ".join(value.casefold().split())
        if word in _NO:
            return "no"
        return "unknown" if word in _NOT_STATED or word.startswith(_NEGATED) else "yes"
    return "unknown" if value is None else ("yes" if value else "no")
