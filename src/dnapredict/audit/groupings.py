"""The groupings themselves: national codes, deciles, bands of age, places.

Source of the codes: NHS Data Model and Dictionary (ETHNIC CATEGORY, PERSON STATED GENDER CODE) and the
English Indices of Deprivation (decile 1 is the most deprived). Core20 is deciles 1 and 2.
"""

import numpy as np

from dnapredict.audit.groups import Group, Grouping, Membership

__all__ = [
    "ETHNICITY",
    "GROUPINGS",
    "PLACES",
    "QUINTILE",
    "UNKNOWN_ETHNICITY",
    "ethnic_code",
    "everyone",
    "grouping_named",
]

ETHNICITY = {
    "A": ("White: British", "white"),
    "B": ("White: Irish", "white"),
    "C": ("White: any other", "white"),
    "D": ("Mixed: White and Black Caribbean", "mixed"),
    "E": ("Mixed: White and Black African", "mixed"),
    "F": ("Mixed: White and Asian", "mixed"),
    "G": ("Mixed: any other", "mixed"),
    "H": ("Asian: Indian", "asian"),
    "J": ("Asian: Pakistani", "asian"),
    "K": ("Asian: Bangladeshi", "asian"),
    "L": ("Asian: any other", "asian"),
    "M": ("Black: Caribbean", "black"),
    "N": ("Black: African", "black"),
    "P": ("Black: any other", "black"),
    "R": ("Chinese", "other"),
    "S": ("Any other ethnic group", "other"),
}
UNKNOWN_ETHNICITY = {
    "Z": "Declined to say",
    "99": "Not asked",
    "blank": "Blank in the record",
    "invalid": "Not a national code",
}
_FIVE = {"white": "White", "mixed": "Mixed", "asian": "Asian", "black": "Black", "other": "Chinese or other"}
_AGES = (
    (0, "0-15"),
    (16, "16-24"),
    (25, "25-34"),
    (35, "35-49"),
    (50, "50-64"),
    (65, "65-79"),
    (80, "80 and over"),
)
_SEX = {"1": "Male", "2": "Female", "9": "Indeterminate"}
_NO = ("n", "no", "0", "f", "false", "none")
_NOT_SAID = ("", "z", "x", "u", "9", "99", "unknown", "not known", "not stated")
_NO_IMD = Group("none", "No deprivation decile", known=False)


def ethnic_code(value: str | None) -> str:
    """National code of an ETHNIC CATEGORY: its first character; unknown kinds kept apart.

    >>> [ethnic_code(v) for v in ("A1", "j ", "Z", "99", "X", None, "?")]
    ['A', 'J', 'Z', '99', '99', 'blank', 'invalid']
    """
    text = (value or "").strip().upper()
    if not text:
        return "blank"
    if text.startswith("99") or text[0] == "X":  # hospital statistics write X for "not known"
        return "99"
    return text[0] if text[0] in ETHNICITY or text[0] == "Z" else "invalid"


def _five(value: str | None) -> str:
    code = ethnic_code(value)
    return ETHNICITY[code][1] if code in ETHNICITY else code


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


def _sex(value: str | None) -> str:
    text = (value or "").strip()
    return text if text in _SEX else "unknown"


def _age(value: float | None) -> str:
    if value is None or not value >= 0:
        return "unknown"
    return max((floor, name) for floor, name in _AGES if floor <= value)[1]


def _yes_no(value: bool | str | None) -> str:
    """A flag, which some extracts write as a word: an N is a no.

    >>> [_yes_no(value) for value in (True, False, None, "Y", "N", " ", "Z")]
    ['yes', 'no', 'unknown', 'yes', 'no', 'unknown', 'unknown']
    """
    if isinstance(value, str):
        word = value.strip().casefold()
        return "no" if word in _NO else "unknown" if word in _NOT_SAID else "yes"
    return "unknown" if value is None else ("yes" if value else "no")


def _depth(value: float | None) -> str:
    if value is None or value < 0:
        return "unknown"
    return "none" if value == 0 else ("1-2" if value <= 2 else "3+")


def _open(value: str | None) -> str:
    return str(value).strip() if value is not None and str(value).strip() else "blank"


def _unknown(name: str = "Not recorded", code: str = "unknown") -> Group:
    return Group(code, name, known=False)


_EVERYONE = Grouping("all", "Everyone", "", (Group("all", "Everyone"),), lambda _: "all")

_UNKNOWN_ETHNIC_GROUPS = tuple(Group(code, name, known=False) for code, name in UNKNOWN_ETHNICITY.items())

GROUPINGS = (
    Grouping(
        "core20", "Core20: the most deprived fifth of areas", "imd_decile",
        (Group("core20", "Core20 (deciles 1-2)"), Group("rest", "Deciles 3-10"), _NO_IMD), _core20,
        harmed=("core20",),
    ),
    Grouping(
        "imd_decile", "Deprivation of the area (IMD decile)", "imd_decile",
        (
            Group("1", "1, most deprived", "core20"),
            *(Group(str(d), str(d), "core20" if d == 2 else "rest") for d in range(2, 10)),
            Group("10", "10, least deprived", "rest"),
            _NO_IMD,
        ),
        _decile,
        ordered=True,
    ),
    Grouping(
        "ethnicity", "Ethnic group (16 national codes)", "ethnic_category_code",
        (*(Group(code, name, parent) for code, (name, parent) in ETHNICITY.items()), *_UNKNOWN_ETHNIC_GROUPS),
        ethnic_code,
    ),
    Grouping(
        "ethnicity_5", "Ethnic group (five high-level groups)", "ethnic_category_code",
        (*(Group(code, name) for code, name in _FIVE.items()), *_UNKNOWN_ETHNIC_GROUPS), _five,
    ),
    Grouping(
        "sex", "Sex", "gender_code",
        (*(Group(code, name) for code, name in _SEX.items()), _unknown("Not known")), _sex,
    ),
    Grouping("age", "Age", "age_years", (*(Group(name, name) for _, name in _AGES), _unknown()), _age),
    Grouping(
        "interpreter", "Interpreter", "interpreter_needed",
        (Group("yes", "Needs an interpreter"), Group("no", "Does not need one"), _unknown()), _yes_no,
        harmed=("yes",),
    ),
    Grouping(
        "disability", "Disability", "disability_flag",
        (Group("yes", "Disability recorded"), Group("no", "No disability recorded"), _unknown()), _yes_no,
        harmed=("yes",),
    ),
    Grouping("plus", "Local PLUS groups", "plus_group", (_unknown("In no PLUS group", "blank"),), _open),
    Grouping(
        "history", "Past appointments known", "n_past",
        (Group("none", "None"), Group("1-2", "One or two"), Group("3+", "Three or more"), _unknown()), _depth,
    ),
)  # fmt: skip


QUINTILE = Grouping(
    "imd_quintile",
    "Deprivation of the area (fifths)",
    "imd_decile",
    (
        Group("1", "1, most deprived fifth"),
        *(Group(str(fifth), str(fifth)) for fifth in range(2, 5)),
        Group("5", "5, least deprived fifth"),
        _NO_IMD,
    ),
    _quintile,
)
PLACES = (
    Grouping("site", "Site", "site_code", (_unknown(code="blank"),), _open, exploratory=True),
    Grouping(
        "specialty",
        "Specialty (treatment function)",
        "treatment_function_code",
        (_unknown(code="blank"),),
        _open,
        exploratory=True,
    ),
)


def everyone(rows: int) -> Membership:
    """All rows as one group."""
    return Membership(_EVERYONE, _EVERYONE.groups, np.zeros(rows, dtype=np.int32))


def grouping_named(name: str) -> Grouping:
    """The grouping of that name in `GROUPINGS`.

    >>> grouping_named("core20").column
    'imd_decile'
    """
    return next(grouping for grouping in GROUPINGS if grouping.name == name)
