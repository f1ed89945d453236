"""The columns of the data contract: type, role, unit, source and description.

One table, one row per booked appointment. A row without `outcome_code` is one to score;
with it, it is history and label. `training/DATA.md` is generated from this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dnapredict.data.contract import codes
from dnapredict.data.contract.treatment_functions import TREATMENT_FUNCTION


class Kind(StrEnum):
    """How a column's text is read."""

    TEXT = "text"
    CODE = "code"
    TIMESTAMP = "timestamp"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"


class Role(StrEnum):
    """What a column may be used for."""

    KEY = "key"
    TIME = "time"
    OUTCOME = "outcome"
    FACTOR = "factor"
    FACTOR_AND_AUDIT = "factor + audit"
    AUDIT = "audit only"
    AUDIT_AND_CONTACT = "audit + contact"
    TREATMENT = "treatment"
    WISH = "wish"
    CONTACT = "contact"


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    `width` pads a numeric code with the leading zeros that spreadsheets drop ("3" -> "03").
    `lowest` and `highest` bound a number, both inclusive. `blanks` are values that are read as blank.
    `meaningful_words` are words of `known_names.NOT_RECORDED` that have a meaning in this column.
    `is_optional_time`: a time that cannot be read, or is after the appointment, counts as not known.
    `yes` and `no` are further words of a yes/no column, in small letters.
    """

    name: str
    kind: Kind
    role: Role
    note: str
    required: bool = False
    unit: str = ""
    source: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)
    width: int = 0
    lowest: float | None = None
    highest: float | None = None
    blanks: Mapping[str, str] = field(default_factory=dict)
    meaningful_words: tuple[str, ...] = ()
    is_optional_time: bool = False
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


COLUMNS: Final = (
    Column(
        "appointment_id",
        Kind.TEXT,
        Role.KEY,
        "Unique; a pseudonym.",
        required=True,
        source="ATTENDANCE IDENTIFIER, pseudonymised",
    ),
    Column(
        "patient_id",
        Kind.TEXT,
        Role.KEY,
        "A pseudonym; without it there is no attendance history.",
        source="LOCAL PATIENT IDENTIFIER or NHS NUMBER, pseudonymised",
    ),
    Column(
        "booked_at",
        Kind.TIMESTAMP,
        Role.TIME,
        "When the appointment was made.",
        required=True,
        source="APPOINTMENT BOOKED DATE",
    ),
    Column(
        "starts_at",
        Kind.TIMESTAMP,
        Role.TIME,
        "When it takes place; midnight means that no clock time is known.",
        required=True,
        source="APPOINTMENT DATE, APPOINTMENT TIME",
    ),
    Column(
        "recorded_at",
        Kind.TIMESTAMP,
        Role.TIME,
        "When the outcome was recorded; otherwise the configured delay after `starts_at`.",
    ),
    Column(
        "referred_at",
        Kind.TIMESTAMP,
        Role.TIME,
        "When the referral request was received: waits are counted from it. Blank where it is no date, or is after "
        "`starts_at`.",
        source="REFERRAL REQUEST RECEIVED DATE",
        is_optional_time=True,
    ),
    Column(
        "rtt_period_start",
        Kind.TIMESTAMP,
        Role.TIME,
        "When the clock of the wait for treatment started. Blank where it is no date, or is after `starts_at`.",
        source="REFERRAL TO TREATMENT PERIOD START DATE",
        is_optional_time=True,
    ),
    Column(
        "rtt_status_code",
        Kind.CODE,
        Role.AUDIT,
        "What the appointment did to that clock: known only after it (33: the first activity was missed), so never "
        "a factor.",
        source="REFERRAL TO TREATMENT PERIOD STATUS",
        codes=codes.RTT_STATUS,
        width=2,
    ),
    Column(
        "outcome_code",
        Kind.CODE,
        Role.OUTCOME,
        "Blank while the appointment lies in the future.",
        source="ATTENDED OR DID NOT ATTEND CODE",
        codes=codes.OUTCOME,
        width=1,
    ),
    Column(
        "site_code",
        Kind.TEXT,
        Role.FACTOR,
        "Where it takes place: an ODS code of five to nine characters.",
        source="ORGANISATION SITE IDENTIFIER (OF TREATMENT)",
        blanks=codes.NOT_A_SITE,
    ),
    Column(
        "provider_code",
        Kind.TEXT,
        Role.FACTOR_AND_AUDIT,
        "The organisation that provides it: an ODS code.",
        source="ORGANISATION IDENTIFIER (CODE OF PROVIDER)",
    ),
    Column("clinic_code", Kind.TEXT, Role.FACTOR, "Clinic, as the trust names it.", source="CLINIC CODE"),
    Column(
        "treatment_function_code",
        Kind.CODE,
        Role.FACTOR,
        "Specialty: the service within which the patient is treated.",
        source="ACTIVITY TREATMENT FUNCTION CODE",
        codes=TREATMENT_FUNCTION,
        width=3,
    ),
    Column(
        "first_attendance_code",
        Kind.CODE,
        Role.FACTOR,
        "First or follow-up; 5 is an administrative event and is set aside.",
        source="FIRST ATTENDANCE CODE",
        codes=codes.FIRST_ATTENDANCE,
        width=1,
    ),
    Column(
        "consultation_mechanism_code",
        Kind.CODE,
        Role.FACTOR,
        "Face to face, telephone, video.",
        source="CONSULTATION MECHANISM, CONSULTATION MEDIUM USED",
        codes=codes.CONSULTATION_MECHANISM,
        width=2,
    ),
    Column(
        "priority_type_code",
        Kind.CODE,
        Role.FACTOR,
        "Routine, urgent, two week wait.",
        source="PRIORITY TYPE CODE",
        codes=codes.PRIORITY_TYPE,
        width=1,
    ),
    Column(
        "referral_source_code",
        Kind.CODE,
        Role.FACTOR,
        "Who referred the patient.",
        source="SOURCE OF REFERRAL FOR OUT-PATIENTS",
        codes=codes.REFERRAL_SOURCE,
        width=2,
    ),
    Column(
        "age_years",
        Kind.NUMBER,
        Role.FACTOR,
        "Age at `starts_at`.",
        unit="years",
        lowest=0,
        highest=120,
        source="AGE AT CDS ACTIVITY DATE",
    ),
    Column(
        "gender_code",
        Kind.CODE,
        Role.FACTOR_AND_AUDIT,
        "Gender as the patient states it.",
        source="PERSON STATED GENDER CODE",
        codes=codes.GENDER,
        width=1,
    ),
    Column(
        "lsoa_code",
        Kind.TEXT,
        Role.FACTOR,
        "Lower layer super output area of residence.",
        source="LOWER LAYER SUPER OUTPUT AREA, of the postcode of residence",
    ),
    Column(
        "place_code",
        Kind.TEXT,
        Role.FACTOR_AND_AUDIT,
        "Place of an integrated care system, such as one of the nine of Cheshire and Merseyside: where the patient "
        "lives or the provider is, as the trust decides. A lookup by LSOA or provider can give it.",
    ),
    Column(
        "imd_decile",
        Kind.INTEGER,
        Role.FACTOR_AND_AUDIT,
        "1 is the most deprived tenth of England.",
        unit="decile",
        source="English Indices of Deprivation",
        lowest=1,
        highest=10,
    ),
    Column(
        "distance_km",
        Kind.NUMBER,
        Role.FACTOR,
        "From the centre of the LSOA to the site.",
        unit="km",
        lowest=0,
        highest=2_000,
    ),
    Column(
        "interpreter_needed",
        Kind.BOOLEAN,
        Role.FACTOR_AND_AUDIT,
        "An interpreter is on record.",
        source="Personal Demographics Service, interpreter required",
        yes=("required", "needed", "interpreter required", "interpreter needed", "yes - required"),
        no=("not required", "not needed", "no interpreter", "none required", "none needed", "no interpreter required"),
    ),
    Column(
        "transport_booked",
        Kind.BOOLEAN,
        Role.FACTOR,
        "Patient transport is booked; None means that there is none.",
        meaningful_words=("NONE",),
        yes=(
            "booked",
            "ambulance",
            "hospital transport",
            "patient transport",
            "transport booked",
            "pts",
            "hospital car",
        ),
        no=(
            "none",
            "not required",
            "not needed",
            "none required",
            "not booked",
            "none booked",
            "no transport",
            "own transport",
        ),
    ),
    Column(
        "has_mobile",
        Kind.BOOLEAN,
        Role.FACTOR_AND_AUDIT,
        "A mobile number is on record. The audit compares people without one, whether or not it is an agreed factor.",
        yes=("on record", "recorded"),
        no=("not on record", "no mobile", "no number"),
    ),
    Column("receives_welfare", Kind.BOOLEAN, Role.FACTOR, "A welfare benefit is on record, where agreed."),
    Column(
        "times_rescheduled",
        Kind.INTEGER,
        Role.FACTOR,
        "Times this appointment was moved, as known when it is scored.",
        unit="times",
        lowest=0,
        highest=1_000,
    ),
    Column(
        "ethnic_category_code",
        Kind.CODE,
        Role.AUDIT,
        "A national code: one letter, with or without a local digit (A, A1); Z declined, 99 not asked; or a "
        "description of one. Anything else counts as not known, and is reported.",
        source="ETHNIC CATEGORY",
        codes=codes.ETHNIC_CATEGORY,
        meaningful_words=("NOT STATED", "NOT KNOWN", "UNKNOWN"),
    ),
    Column(
        "disability_flag",
        Kind.TEXT,
        Role.AUDIT,
        "Disability, as recorded locally; None means that there is none.",
        meaningful_words=("NONE",),
    ),
    Column(
        "learning_disability_flag",
        Kind.TEXT,
        Role.AUDIT_AND_CONTACT,
        "Learning disability, as recorded locally; None means that there is none. A call is adjusted to it (plain "
        "words, more time), which the list says without naming it. Never a factor.",
        meaningful_words=("NONE",),
    ),
    Column("language_code", Kind.TEXT, Role.AUDIT, "Preferred language, as recorded locally."),
    Column("plus_group", Kind.TEXT, Role.AUDIT, "Locally defined inclusion group of CORE20PLUS5."),
    Column(
        "trust_side_reason",
        Kind.BOOLEAN,
        Role.AUDIT,
        "The record gives a reason on the trust's side: a letter that was not sent, a clinic that was moved.",
    ),
    Column("contacted", Kind.BOOLEAN, Role.TREATMENT, "The patient was reached by a validation call."),
    Column(
        "trial_arm",
        Kind.CODE,
        Role.TREATMENT,
        "The arm of a trial of calls to which the appointment was assigned by lot; blank where it was in no trial.",
        source="ARM OF RANDOMISED TRIAL, as the trust's protocol names it",
        codes=codes.TRIAL_ARM,
    ),
    Column(
        "opt_out",
        Kind.BOOLEAN,
        Role.WISH,
        "The patient asked not to be called: such a row is never selected. Never a factor.",
    ),
    Column(
        "accessible_information_code",
        Kind.TEXT,
        Role.CONTACT,
        "What the patient needs to understand and be understood, as recorded locally, several divided by ';': a "
        "communication professional, another way of contact, an information format, communication support. A call is "
        "adjusted to it. Never a factor.",
        source="Accessible Information Standard (DAPB1605): ACCESSIBLE INFORMATION PROFESSIONAL REQUIRED, CONTACT "
        "METHOD, SPECIFIC INFORMATION FORMAT, COMMUNICATION SUPPORT",
        meaningful_words=("NONE",),
    ),
    Column(
        "carer_or_child",
        Kind.BOOLEAN,
        Role.CONTACT,
        "A call goes to the parent or carer. Where it is blank: yes for a patient under 16, no from 16 on. "
        "Never a factor.",
    ),
)
NAMES: Final = tuple(column.name for column in COLUMNS)
REQUIRED: Final = tuple(column.name for column in COLUMNS if column.required)

CONTACT_COLUMNS: Final = (
    Column(
        "person_full_name",
        Kind.TEXT,
        Role.CONTACT,
        "The patient's name as one text; otherwise the two columns that follow.",
        source="PERSON FULL NAME",
    ),
    Column("person_given_name", Kind.TEXT, Role.CONTACT, "Forename.", source="PERSON GIVEN NAME"),
    Column("person_family_name", Kind.TEXT, Role.CONTACT, "Surname.", source="PERSON FAMILY NAME"),
    Column(
        "person_birth_date",
        Kind.DATE,
        Role.CONTACT,
        "Date of birth, to check who answers the call.",
        source="PERSON BIRTH DATE",
    ),
    Column(
        "mobile_telephone",
        Kind.TEXT,
        Role.CONTACT,
        "Mobile telephone number, called first.",
        source="COMMUNICATION CONTACT STRING (mobile)",
    ),
    Column(
        "home_telephone",
        Kind.TEXT,
        Role.CONTACT,
        "Home telephone number.",
        source="COMMUNICATION CONTACT STRING (home)",
    ),
    Column(
        "other_telephone",
        Kind.TEXT,
        Role.CONTACT,
        "Another telephone number: at work, or of a parent or carer.",
        source="COMMUNICATION CONTACT STRING",
    ),
    Column(
        "preferred_language",
        Kind.TEXT,
        Role.CONTACT,
        "The language in which the patient wants to be spoken to. The audit's own column is `language_code`; one "
        "column of an extract can give both.",
        source="LANGUAGE CODE (PREFERRED), or its name",
    ),
    Column(
        "preferred_contact_time",
        Kind.TEXT,
        Role.CONTACT,
        "When the patient wants to be called, in words.",
        source="Personal Demographics Service, preferred contact times",
    ),
)
"""A patient's name and contact details, for the person who calls.

They are not among `COLUMNS`: the code that checks, trains, scores, audits or logs never reads them, so a mistake there
cannot expose one. Only `data.mapping.contact_columns` reads them.
"""
CONTACT_NAMES: Final = tuple(column.name for column in CONTACT_COLUMNS)

_BY_NAME: Final = {column.name: column for column in (*COLUMNS, *CONTACT_COLUMNS)}


def column(name: str) -> Column:
    """The contract's column of that name.

    Raises
    ------
    KeyError
        If the contract has none.
    """
    return _BY_NAME[name]


CHILD_BELOW_YEARS: Final = 16
"""From 16 on a young person is presumed able to decide (Family Law Reform Act 1969, section 8)."""


def audit_only() -> frozenset[str]:
    """Names of the columns that neither a factor nor the worklist may read."""
    return frozenset(column.name for column in COLUMNS if column.role in (Role.AUDIT, Role.TREATMENT, Role.WISH))


def never_factors() -> frozenset[str]:
    """Names of the columns that may never feed a factor."""
    for_contact = (Role.CONTACT, Role.AUDIT_AND_CONTACT)
    contact = {column.name for column in COLUMNS if column.role in for_contact}
    return audit_only() | contact | frozenset(CONTACT_NAMES)
