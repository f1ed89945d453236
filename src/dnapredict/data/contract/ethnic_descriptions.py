"""Descriptions of ETHNIC CATEGORY: the NHS's own, the labels of the 2021 census, SNOMED CT and administration systems.

Sources: NHS Data Model and Dictionary, ETHNIC CATEGORY (the categories of the 2001 census and their headings);
Office for National Statistics, ethnic group (detailed) of the Censuses of 2011 and 2021 for England and Wales.
Four labels of 2021 have no code of 2001. Chinese is R, which the later census only placed under another heading.
Gypsy or Irish Traveller and Roma are C, as in the NHS's local subdivisions (CL, CM, CN), and Arab is S, the
category for every group without a code of its own (docs/decisions.md).
"""

from collections.abc import Iterator
from typing import Final

# "or" is a word of a description; the reader accepts it without, as in "Asian / Asian British".
_WHITE: Final = ("", "white")
_MIXED: Final = (
    *("", "mixed", "mixed or multiple", "mixed ethnic group", "mixed or multiple ethnic group"),
    *("mixed or multiple ethnic groups", "dual heritage", "mixed race", "mixed background"),
)
_ASIAN: Final = ("", "asian", "british asian", "asian or asian british", "asian asian british or asian welsh")
_BLACK: Final = (
    *("", "black", "black british", "black or black british", "black or african or caribbean or black british"),
    *("black african caribbean or black british", "black black british caribbean or african"),
    "black black british black welsh caribbean or african",
)
_OTHER: Final = ("", "other", "other ethnic group", "other ethnic groups")
_CHINESE_OR_OTHER: Final = ("chinese or other", "chinese or other ethnic group", "chinese or other ethnic groups")

# National code: the headings under which a description may be listed, "" for none; and the descriptions.
_DETAILS: Final = {
    "A": (
        _WHITE,
        (
            "british, british or mixed british, english welsh scottish northern irish or british, "
            "english or welsh or scottish or northern irish or british"
        ),
    ),
    "B": (_WHITE, "irish"),
    "C": (
        _WHITE,
        (
            "any other white, any other white background, other white, other white background, "
            "gypsy or irish traveller, irish traveller, gypsy, gypsy romany, gypsy or roma, romany, roma, traveller"
        ),
    ),
    "D": (_MIXED, "white black caribbean"),
    "E": (_MIXED, "white black african"),
    "F": (_MIXED, "white asian"),
    "G": (
        _MIXED,
        (
            "any other mixed, any other mixed background, other mixed, other mixed background, "
            "any other mixed or multiple ethnic background, any other mixed or multiple ethnic group, "
            "any other mixed or multiple ethnic groups, other mixed or multiple ethnic groups, "
            "other mixed or multiple ethnic group, other mixed or multiple ethnic background"
        ),
    ),
    "H": (_ASIAN, "indian, british indian, indian or british indian"),
    "J": (_ASIAN, "pakistani, british pakistani, pakistani or british pakistani"),
    "K": (_ASIAN, "bangladeshi, british bangladeshi, bangladeshi or british bangladeshi"),
    "L": (_ASIAN, "any other asian, any other asian background, other asian, other asian background"),
    "M": (_BLACK, "caribbean, black caribbean"),
    "N": (_BLACK, "african, black african"),
    "P": (
        _BLACK,
        (
            "any other black, any other black background, other black, other black background, "
            "any other black black british or caribbean background, any other black african or caribbean background, "
            "other black african or caribbean background"
        ),
    ),
    "R": ((*_OTHER, *_CHINESE_OR_OTHER, *_ASIAN), "chinese"),
    "S": (
        (*_OTHER, *_CHINESE_OR_OTHER),
        "any other ethnic group, other ethnic group, any other ethnic background, arab",
    ),
}
# Details that a heading alone narrows down: "any other" says nothing without "White".
_OF_A_HEADING: Final = {
    "C": "white",
    "G": "mixed, mixed or multiple, mixed or multiple ethnic groups",
    "L": "asian, british asian, asian or asian british, asian asian british or asian welsh",
    "P": "black, black british, black or black british",
    "S": "other ethnic group, other ethnic groups, chinese or other ethnic group, chinese or other ethnic groups",
}
_ANY_OTHER: Final = ("any other", "other", "any other background", "other background")

# Z: "had been asked and had declined either because of refusal or genuine inability to choose".
# 99: "had not been asked or was not in a condition to be asked".
_NOT_STATED: Final = (
    "not stated, declined, refused, not stated asked declined, asked declined, asked refused, asked but declined, "
    "asked but refused, declined state, declined to state, declined to say, declined to answer, declined to give, "
    "declined to disclose, declined to specify, declined to provide, refused to state, refused to say, "
    "refused to answer, refused to give, refused to disclose, prefer not to say, prefers not to say, "
    "preferred not to say, prefer not to state, prefer not to answer, prefer not to disclose, "
    "does not wish to say, does not wish to state, does not wish to answer, does not wish to disclose, "
    "did not wish to say, did not wish to answer, do not wish to answer, do not wish to say, do not wish to state, "
    "i do not wish to disclose, i do not wish to answer, i prefer not to say, i would prefer not to say, "
    "would prefer not to say, would rather not say, unwilling to answer, unwilling to say, unable to choose"
)
_NOT_KNOWN: Final = (
    "not known, unknown, not asked, not yet asked, not known not asked, not been asked, has not been asked, "
    "was not asked, not in a condition to be asked, unable to ask"
)
_WHO: Final = ("", "patient", "client", "person", "the patient", "by patient", "by the patient")
_WHAT: Final = (
    *("", "ethnicity", "ethnic category", "ethnic group", "ethnic origin", "ethnic background", "information"),
    *("my ethnicity", "my ethnic origin", "their ethnicity"),
)
# The names of the SNOMED CT concepts end with the census.
_ENDINGS: Final = (
    "",
    "ethnic category 2001 census",
    "ethnic category 2001 census finding",
    "england wales ethnic category 2011 census",
    "england wales ethnic category 2011 census finding",
)
_WITH_ENDING: Final = {"S": "other", "Z": "ethnic category not stated 2001 census, not stated 2001 census"}


def ethnic_descriptions() -> Iterator[tuple[str, str]]:
    """Every description, as words between spaces, with its national code."""
    for code, phrase in _of_categories():
        for ending in _ENDINGS:
            yield f"{phrase} {ending}".strip(), code
    for ending in _ENDINGS[1:]:
        yield f"{_WITH_ENDING['S']} {ending}", "S"
    for phrase in _split(_WITH_ENDING["Z"]):
        yield phrase, "Z"
        yield f"{phrase} finding", "Z"
    for code, phrases in (("Z", _NOT_STATED), ("99", _NOT_KNOWN)):
        yield from ((f"{who} {phrase} {what}", code) for who in _WHO for phrase in _split(phrases) for what in _WHAT)


def _of_categories() -> Iterator[tuple[str, str]]:
    for code, (headings, details) in _DETAILS.items():
        yield from ((code, f"{heading} {detail}".strip()) for heading in headings for detail in _split(details))
    for code, broad in _OF_A_HEADING.items():
        yield from ((code, f"{heading} {other}") for heading in _split(broad) for other in _ANY_OTHER)


def _split(phrases: str) -> list[str]:
    return phrases.split(", ")
