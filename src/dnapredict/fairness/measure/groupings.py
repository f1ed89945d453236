"""The groupings: ethnic group, deprivation, age, sex, interpreter, disability, PLUS group, history.

And those of the service: site, specialty, provider, place.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from dnapredict.data.contract import codes
from dnapredict.fairness.measure.membership import Group, Grouping, Membership

ETHNICITY: Final[Mapping[str, str]] = MappingProxyType(
    {code: name for code, name in codes.ETHNIC_CATEGORY.items() if code not in codes.UNKNOWN_ETHNICITY}
)
DECLINED, NOT_ASKED, NOT_ASKED_IN_STATISTICS = codes.UNKNOWN_ETHNICITY
_UNKNOWN: Final = {
    DECLINED: "Declined to say",
    NOT_ASKED: "Not asked",
    "blank": "Blank in the record",
    "invalid": "Not a national code",
}
_WHOLE_CODE: Final = re.compile(codes.WHOLE_ETHNIC_CODE)
# The part before the colon of a code's meaning is the broad group; "Other" alone would be unclear.
_FULL_NAMES: Final = {"Other": "Chinese or other"}


def _broad_group(code: str) -> str:
    return ETHNICITY[code].partition(":")[0]


UNKNOWN_GROUPS: Final = tuple(Group(code, name, known=False) for code, name in _UNKNOWN.items())
SIXTEEN_GROUPS: Final = (
    *(Group(code, name, within=(("ethnicity_5", _broad_group(code).lower()),)) for code, name in ETHNICITY.items()),
    *(Group(code, name, known=False, within=(("ethnicity_5", code),)) for code, name in _UNKNOWN.items()),
)
FIVE_GROUPS: Final = (
    *(Group(name.lower(), _FULL_NAMES.get(name, name)) for name in dict.fromkeys(map(_broad_group, ETHNICITY))),
    *UNKNOWN_GROUPS,
)


def ethnic_code(value: str | None) -> str:
    """National code of an ETHNIC CATEGORY; kinds of unknown values are kept apart.

    A description is "invalid" and is never read by its first letter.

    >>> [ethnic_code(v) for v in ("A1", "j ", "Z", "99", "X", None, "?", "Indian", "Not stated")]
    ['A', 'J', 'Z', '99', '99', 'blank', 'invalid', 'invalid', 'invalid']
    """
    text = (value or "").strip()
    if not text:
        return "blank"
    if not _WHOLE_CODE.fullmatch(text):
        return "invalid"
    code = text.upper()
    return NOT_ASKED if code in (NOT_ASKED, NOT_ASKED_IN_STATISTICS) else code[0]


def broad_ethnic_group(value: str | None) -> str:
    """The broad group of an ETHNIC CATEGORY, or the kind of unknown value.

    >>> [broad_ethnic_group(v) for v in ("A1", "R", "Z")]
    ['white', 'other', 'Z']
    """
    code = ethnic_code(value)
    return _broad_group(code).lower() if code in ETHNICITY else code


_AGES = (
    (0, "0-15"),
    (16, "16-24"),
    (25, "25-34"),
    (35, "35-49"),
    (50, "50-64"),
    (65, "65-79"),
    (80, "80 and over"),
)
_NOT_KNOWN_SEX: Final = "X"
_SEX = {code: name.capitalize() for code, name in codes.GENDER.items() if code != _NOT_KNOWN_SEX}


def _decile(value: float | None) -> str:
    return str(int(value)) if value is not None and 1 <= value <= 10 else "none"


def _core20(value: float | None) -> str:
    decile = _decile(value)
    if decile == "none":
        return decile
    return "core20" if int(decile) <= 2 else "rest"


def _quintile(value: float | None) -> str:
    decile = _decile(value)
    return decile if decile == "none" else str((int(decile) + 1) // 2)


def _decile_group(decile: int, name: str = "") -> Group:
    within = (("core20", _core20(decile)), ("imd_quintile", _quintile(decile)))
    return Group(str(decile), name or str(decile), within=within)


def _fifth_group(fifth: int, name: str = "") -> Group:
    return Group(str(fifth), name or str(fifth), within=(("core20", _core20(2 * fifth)),))


def _no_decile(*within: str) -> Group:
    code = "none"
    return Group(code, "No deprivation decile", known=False, within=tuple((name, code) for name in within))


def _sex(value: str | None) -> str:
    text = (value or "").strip()
    return text if text in _SEX else "unknown"


def _age(value: float | None) -> str:
    if value is None or not value >= 0:
        return "unknown"
    return max((floor, name) for floor, name in _AGES if floor <= value)[1]


def _depth(value: float | None) -> str:
    if value is None or value < 0:
        return "unknown"
    return "none" if value == 0 else ("1-2" if value <= 2 else "3+")


def _open(value: str | None) -> str:
    return str(value).strip() if value is not None and str(value).strip() else "blank"


def _unknown(name: str = "Not recorded", code: str = "unknown") -> Group:
    return Group(code, name, known=False)


QUINTILE = Grouping(
    "imd_quintile", "Deprivation of the area (fifths)", "imd_decile",
    (
        _fifth_group(1, "1, most deprived fifth"), *map(_fifth_group, range(2, 5)),
        _fifth_group(5, "5, least deprived fifth"), _no_decile("core20"),
    ),
    _quintile,
    ordered=True,
)  # fmt: skip

EVERYONE = Grouping("all", "Everyone", "", (Group("all", "Everyone"),), lambda _: "all")

GROUPINGS = (
    Grouping(
        "core20", "Core20: the most deprived fifth of areas", "imd_decile",
        (Group("core20", "Most deprived areas (Core20)"), Group("rest", "Other areas"), _no_decile()),
        _core20,
        harmed=("core20",),
    ),
    Grouping(
        "imd_decile", "Deprivation of the area (IMD decile)", "imd_decile",
        (
            _decile_group(1, "1, most deprived"), *map(_decile_group, range(2, 10)),
            _decile_group(10, "10, least deprived"), _no_decile("core20", "imd_quintile"),
        ),
        _decile,
        ordered=True,
    ),
    QUINTILE,
    Grouping(
        "ethnicity", "Ethnic group (16 national codes)", "ethnic_category_code",
        SIXTEEN_GROUPS, ethnic_code,
    ),
    Grouping(
        "ethnicity_5", "Ethnic group (five high-level groups)", "ethnic_category_code",
        FIVE_GROUPS, broad_ethnic_group,
    ),
    Grouping(
        "sex", "Sex", "gender_code",
        (*(Group(code, name) for code, name in _SEX.items()), _unknown("Not known")), _sex,
    ),
    Grouping(
        "age", "Age", "age_years", (*(Group(name, name) for _, name in _AGES), _unknown()), _age,
    ),
    Grouping(
        "interpreter", "Interpreter", "interpreter_needed",
        (Group("yes", "Needs an interpreter"), Group("no", "Does not need one"), _unknown()), codes.flag_answer,
        harmed=("yes",),
    ),
    Grouping(
        "disability", "Disability", "disability_flag",
        (Group("yes", "Disability recorded"), Group("no", "No disability recorded"), _unknown()), codes.flag_answer,
        harmed=("yes",),
    ),
    Grouping(
        "learning_disability", "Learning disability", "learning_disability_flag",
        (
            Group("yes", "Learning disability recorded"), Group("no", "No learning disability recorded"), _unknown(),
        ),
        codes.flag_answer,
        harmed=("yes",),
    ),
    Grouping(
        "digital", "Mobile telephone", "has_mobile",
        (Group("no", "No mobile telephone on record"), Group("yes", "Mobile telephone on record"), _unknown()),
        codes.flag_answer,
        harmed=("no",),
    ),
    Grouping("plus", "Local PLUS groups", "plus_group", (Group("blank", "In no PLUS group", known=False),), _open),
    Grouping(
        "history", "Past appointments known", "n_past",
        (
            Group("none", "No past appointment"), Group("1-2", "One or two past appointments"),
            Group("3+", "Three or more past appointments"), _unknown(),
        ), _depth,
    ),
)  # fmt: skip


PLACE_GROUPINGS = (
    Grouping("site", "Site", "site_code", (_unknown(code="blank"),), _open),
    Grouping(
        "specialty",
        "Specialty (treatment function)",
        "treatment_function_code",
        (_unknown(code="blank"),),
        _open,
        exploratory=True,
    ),
    Grouping("provider", "Provider", "provider_code", (_unknown(code="blank"),), _open, exploratory=True),
    Grouping("place", "Place", "place_code", (_unknown(code="blank"),), _open),
)

_LEADS: Final = (
    (0, "under 1 week"),
    (7, "1 to 3 weeks"),
    (28, "4 to 7 weeks"),
    (56, "8 to 12 weeks"),
    (91, "13 weeks or more"),
)


def _lead(value: float | None) -> str:
    if value is None or value != value:
        return "unknown"
    return max((floor, name) for floor, name in _LEADS if floor <= max(value, 0))[1]


# Not a grouping of patients and without a table: gaps are standardised by it, as by site and specialty.
LEAD = Grouping(
    "lead", "Time from booking to appointment", "lead_days",
    (*(Group(name, name) for _, name in _LEADS), _unknown()),
    _lead,
    exploratory=True,
    shown=False,
    ordered=True,
)  # fmt: skip
# Groupings whose groups are unions of another's: fifths and Core20 of deciles, broad ethnic groups of national codes.
DERIVED: Final = MappingProxyType({"core20": "imd_decile", "imd_quintile": "imd_decile", "ethnicity_5": "ethnicity"})


def everyone_membership(rows: int) -> Membership:
    """All rows as one group."""
    return Membership(EVERYONE, EVERYONE.groups, np.zeros(rows, dtype=np.int32))


def grouping_named(name: str) -> Grouping:
    """The grouping of that name, of patients or of the service.

    >>> grouping_named("core20").column
    'imd_decile'
    """
    return next(grouping for grouping in (*GROUPINGS, *PLACE_GROUPINGS) if grouping.name == name)


# What is unknown where a column is missing, in plain words.
_PHRASES: Final = {
    "imd_decile": "how deprived people's areas are",
    "ethnic_category_code": "people's ethnic groups",
    "gender_code": "people's sex",
    "age_years": "people's age",
    "interpreter_needed": "who needs an interpreter",
    "disability_flag": "who has a disability",
    "learning_disability_flag": "who has a learning disability",
    "plus_group": "who is in a local PLUS group",
    "has_mobile": "who has a mobile telephone",
    "n_past": "earlier appointments",
    "site_code": "at which site people are seen",
    "place_code": "in which place people live",
}


def grouping_phrases(groupings: Iterable[Grouping]) -> tuple[str, ...]:
    """What these groupings say about patients, in plain words; two groupings of one column give one phrase.

    >>> grouping_phrases([grouping_named("core20"), grouping_named("imd_decile"), grouping_named("sex")])
    ("how deprived people's areas are", "people's sex")
    """
    return tuple(dict.fromkeys(_PHRASES[grouping.column] for grouping in groupings))
