"""Groups as a reader would say them: "people aged 65 to 79", "people seen in ophthalmology", "patients of site RXA03".

Figures keep the codes and names of `measure.groupings`; pages and sentences use these phrases.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dnapredict.data.contract.treatment_functions import TREATMENT_FUNCTION
from dnapredict.fairness.gates.search_gate import SEARCHED
from dnapredict.fairness.measure.membership import Group

_ETHNIC: Final[Mapping[str, str]] = {
    "A": "White British people",
    "B": "White Irish people",
    "C": "people of any other White background",
    "D": "people of mixed White and Black Caribbean background",
    "E": "people of mixed White and Black African background",
    "F": "people of mixed White and Asian background",
    "G": "people of any other mixed background",
    "H": "Indian people",
    "J": "Pakistani people",
    "K": "Bangladeshi people",
    "L": "people of any other Asian background",
    "M": "Black Caribbean people",
    "N": "Black African people",
    "P": "people of any other Black background",
    "R": "Chinese people",
    "S": "people of any other ethnic group",
    "Z": "people who declined to say their ethnic group",
    "99": "people who were not asked for their ethnic group",
    "blank": "people whose ethnic group is blank in the record",
    "invalid": "people whose ethnic group is not a national code",
}
_BROAD: Final[Mapping[str, str]] = {
    "white": "White people",
    "mixed": "people of mixed background",
    "asian": "Asian people",
    "black": "Black people",
    "other": "Chinese people and people of any other ethnic group",
}
_PHRASES: Final[Mapping[str, Mapping[str, str]]] = {
    "core20": {
        "core20": "people in the most deprived areas",
        "rest": "people in other areas",
        "none": "people whose area is not known",
    },
    "ethnicity": _ETHNIC,
    "ethnicity_5": {**_ETHNIC, **_BROAD},
    "sex": {"1": "men and boys", "2": "women and girls", "9": "people whose sex is recorded as indeterminate"},
    "interpreter": {"yes": "people who need an interpreter", "no": "people who need no interpreter"},
    "disability": {"yes": "people with a disability", "no": "people with no disability recorded"},
    "learning_disability": {
        "yes": "people with a learning disability",
        "no": "people with no learning disability recorded",
    },
    "digital": {"yes": "people with a mobile number", "no": "people without a mobile number"},
    "plus": {"blank": "people in no PLUS group"},
    "history": {
        "none": "people with no past appointment",
        "1-2": "people with one or two past appointments",
        "3+": "people with three or more past appointments",
    },
}
_NOT_KNOWN: Final[Mapping[str, str]] = {
    "sex": "people whose sex is not known",
    "age": "people whose age is not known",
    "interpreter": "people of whom it is not known whether they need an interpreter",
    "disability": "people of whom it is not known whether they have a disability",
    "learning_disability": "people of whom it is not known whether they have a learning disability",
    "digital": "people of whom it is not known whether they have a mobile number",
    "history": "people whose past appointments are not known",
    # Postcodes without a decile are those without a Core20 area.
    "imd_decile": "people whose area is not known",
    "imd_quintile": "people whose area is not known",
    "place": "people whose place of living is not recorded",
    "site": "people seen at a site that is not recorded",
    "specialty": "people seen in a specialty that is not recorded",
    "provider": "people seen by a provider that is not recorded",
}
# How phrases begin, and what is left of that in a row.
_OPENINGS: Final[Mapping[str, str]] = {
    "people of any other ": "any other ",
    "people of mixed ": "mixed: ",
    "people of ": "",
    "people in the ": "",
    "people in ": "",
    "people with ": "",
    "people who ": "",
    "people ": "",
}
_PLACES: Final[Mapping[str, str]] = {
    "site": "people seen at site {name}",
    "specialty": "people seen in {name}",
    "provider": "people seen by provider {name}",
    "place": "people who live in {name}",
    "plus": "people in the group {name}",
}
_SCALES: Final[Mapping[str, str]] = {"imd_decile": "tenth", "imd_quintile": "fifth"}
_AGES: Final = re.compile(r"(\d+)-(\d+)")


def people(grouping: str, group: Group) -> str:
    """The people of a group, as a phrase within a sentence.

    >>> people("age", Group("65-79", "65-79")), people("history", Group("none", "None"))
    ('people aged 65 to 79', 'people with no past appointment')
    >>> people("specialty", Group("130", "130")), people("site", Group("RXA03", "RXA03"))
    ('people seen in ophthalmology', 'people seen at site RXA03')
    >>> people("search", Group("ethnicity=J|site=RXA03", "Asian: Pakistani; RXA03"))
    'Pakistani people seen at site RXA03'
    >>> people("imd_decile", Group("7", "7"))
    'people in the areas of deprivation tenth 7 (1 is most deprived)'
    """
    if grouping == SEARCHED:
        return intersection([(name, Group(code, code)) for name, _, code in _parts(group)])
    known = _PHRASES.get(grouping, {}).get(group.code)
    if known is not None:
        return known
    if not group.known:
        return _NOT_KNOWN.get(grouping, f"people of the group {group.name.lower()}")
    if grouping == "age":
        return "people aged " + _AGES.sub(r"\1 to \2", group.name)
    if grouping in _SCALES:
        place = _on_the_scale(grouping, group)
        return f"people in the areas of {place}{'' if place.endswith(')') else ' (1 is most deprived)'}"
    return _PLACES.get(grouping, "people of the group {name}").format(name=place_name(grouping, group))


def _on_the_scale(grouping: str, group: Group) -> str:
    """A tenth or fifth of deprivation.

    >>> _on_the_scale("imd_decile", Group("10", "10, least deprived"))
    'deprivation tenth 10 (least deprived)'
    """
    number, _, which = group.name.removesuffix(" fifth").partition(", ")
    place = f"deprivation {_SCALES[grouping]} {number}"
    return f"{place} ({which})" if which else place


def place_name(grouping: str, group: Group) -> str:
    """The name of a specialty, or what the extract calls the group; a place's code is called a code.

    >>> place_name("specialty", Group("130", "130")), place_name("specialty", Group("999", "999"))
    ('ophthalmology', 'specialty 999')
    >>> place_name("place", Group("SYP2", "SYP2")), place_name("place", Group("Bury", "Bury"))
    ('the place SYP2', 'Bury')
    """
    if grouping == "place" and any(letter.isdigit() for letter in group.name):
        return f"the place {group.name}"
    if grouping != "specialty" or not group.known:
        return group.name
    return TREATMENT_FUNCTION.get(group.code, f"specialty {group.name}" if group.name.isalnum() else group.name)


def row_name(grouping: str, group: Group) -> str:
    """The name of a group at the start of a row or beside a dot: the phrase without "people", with a capital.

    >>> row_name("age", Group("65-79", "65-79")), row_name("specialty", Group("130", "130"))
    ('Aged 65 to 79', 'Ophthalmology')
    >>> row_name("core20", Group("none", "No deprivation decile", known=False))
    'Area not known'
    """
    if not group.known:
        return "Area not known" if group.name == "No deprivation decile" else group.name
    if grouping in _SCALES:
        return capital(_on_the_scale(grouping, group))
    if grouping in _PLACES:
        return capital(place_name(grouping, group))
    phrase = people(grouping, group)
    for opening, kept in _OPENINGS.items():
        if phrase.startswith(opening):
            return capital(kept + phrase.removeprefix(opening).removesuffix(" background"))
    return capital(phrase)


def intersection(path: Sequence[tuple[str, Group]]) -> str:
    """People who are in all of several groups.

    >>> intersection([("ethnicity", Group("J", "")), ("sex", Group("2", "")), ("core20", Group("core20", ""))])
    'Pakistani women and girls in the most deprived areas'
    >>> intersection([("age", Group("65-79", "65-79")), ("interpreter", Group("yes", ""))])
    'people aged 65 to 79 who need an interpreter'
    """
    phrases = [people(grouping, group) for grouping, group in path]
    begins = next((one for one in phrases if not one.startswith(_PEOPLE)), phrases[0])
    nouns = [one for one in phrases if one != begins and not one.startswith(_PEOPLE)]
    rest = [one.removeprefix(_PEOPLE) for one in phrases if one != begins and one not in nouns]
    if begins.endswith(_PEOPLE.rstrip()) and nouns:
        begins = f"{begins.removesuffix(_PEOPLE.rstrip())}{nouns.pop(0)}"
    return " ".join([*[f"{one}," for one in nouns], begins, " and ".join(rest)]).strip()


_PEOPLE: Final = "people "


def _parts(group: Group) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in group.code.split("|")]


def capital(text: str) -> str:
    """The text with a capital first letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]
