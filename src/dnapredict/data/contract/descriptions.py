"""Descriptions of codes: the words that coded columns contain in place of a code, and the code of each.

A description is matched as a whole, whatever its case and punctuation; of ethnic groups and services in any order
of words, since "Indian - Asian or Asian British" is one too. Nothing is guessed: a text that is neither a code nor
a description in these tables has no code, however much of it looks like one.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Final

from dnapredict.data.contract.codes import WHOLE_ETHNIC_CODE
from dnapredict.data.contract.columns import Column, column
from dnapredict.data.contract.ethnic_descriptions import ethnic_descriptions
from dnapredict.data.contract.treatment_functions import TREATMENT_FUNCTION

# Column: its descriptions by code. Those of the NHS Data Dictionary first, then those of administration systems
# that can mean nothing else: "Cancelled" alone does not say by whom, nor "Arrived late" whether the patient was
# seen. Words that only a reader of the extract can judge are in `known_names.PROPOSED_WORDS`.
_DESCRIPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "outcome_code": {
        "5": "attended on time or if late before the relevant care professional was ready to see the patient, "
        "attended on time, attended, attended seen, attended and seen, attended appointment, patient attended, seen",
        "6": "arrived late after the relevant care professional was ready to see the patient but was seen, "
        "arrived late but was seen, arrived late was seen, arrived late seen, attended late, attended late seen, "
        "late seen, late but seen, attended late but seen, attended late and was seen",
        "7": "patient arrived late and could not be seen, arrived late and could not be seen, "
        "arrived late could not be seen, arrived late not seen, late not seen, late could not be seen, "
        "attended late not seen, arrived too late to be seen, late and not seen, attended late but not seen",
        "2": "appointment cancelled by or on behalf of the patient, cancelled by or on behalf of the patient, "
        "cancelled by or for the patient, cancelled by patient, cancelled by the patient, patient cancelled, "
        "cancelled patient, patient cancellation, cancellation by patient, appointment cancelled by patient, "
        "cancelled on behalf of patient, pt cancelled, cancelled by pt, patient cancelled appointment",
        "3": "did not attend, did not attend no advance warning given, did not attend no advance warning, dna, "
        "did not attend dna, dna did not attend, patient did not attend, patient dna, no show, noshow, "
        "failed to attend, fta, not attended, non attendance, dna no advance warning, patient did not attend dna, "
        "was not brought, wnb, not brought, was not brought wnb, child was not brought",
        "4": "appointment cancelled or postponed by the health care provider, cancelled by provider, "
        "cancelled or postponed by the provider, appointment cancelled or postponed by the healthcare provider, "
        "cancelled or postponed by the health care provider, cancelled or postponed by provider, "
        "cancelled by hospital, cancelled by the hospital, cancelled hospital, hospital cancelled, "
        "hospital cancellation, cancellation by hospital, provider cancelled, provider cancellation, "
        "cancelled provider, cancelled by trust, cancelled by the trust, trust cancelled, cancelled trust, "
        "appointment cancelled by hospital, clinic cancelled, cancelled by clinic, cancelled clinic, "
        "postponed by hospital, cancelled by the provider, appointment cancelled by provider",
        "0": "not applicable appointment occurs in the future, not applicable appointment in the future, "
        "appointment occurs in the future, appointment in the future, future appointment, booked, scheduled, "
        "not yet outcomed, future",
    },
    "first_attendance_code": {
        "1": "first attendance face to face, first attendance, first, new, new patient, new appointment, "
        "first appointment, new attendance, first face to face, new face to face, new f2f, first f2f, "
        "new outpatient, first outpatient, first outpatient appointment, initial, initial appointment",
        "2": "follow up attendance face to face, follow up attendance, follow up, followup, fu, f u, f up, "
        "follow up appointment, follow up patient, subsequent, subsequent attendance, subsequent appointment, "
        "review, review appointment, follow up face to face, follow up f2f, fu f2f, fu face to face",
        "3": "first telephone or telemedicine consultation, first attendance by telephone or telemedicine, "
        "first telephone, first telemedicine, new telephone, new tel, first tel, new video, first video, "
        "new telephone appointment, first telephone appointment, first attendance telephone, new phone",
        "4": "follow up telephone or telemedicine consultation, follow up attendance by telephone or telemedicine, "
        "follow up telephone, follow up telemedicine, fu telephone, fu tel, follow up tel, fu video, "
        "follow up video, follow up telephone appointment, follow up attendance telephone, fu phone",
        "5": "referral to treatment clock stop administrative event, clock stop administrative event, "
        "rtt clock stop administrative event",
    },
    "consultation_mechanism_code": {
        "01": "face to face, face to face communication, face to face consultation, face to face appointment, f2f, "
        "ftf, in person, in person appointment",
        "02": "telephone, telephone consultation, telephone appointment, telephone call, telephone clinic, phone, "
        "phone call, by telephone, tel",
        "03": "telemedicine, telemedicine web camera",
        "04": "talk type for a person unable to speak, talk type",
        "05": "email, e mail, by email",
        "09": "asynchronous text message",
        "10": "instant message, instant messaging",
        "11": "video, video consultation, video call, video appointment, by video, video clinic",
        "12": "message board",
        "13": "chat room",
        "98": "other",
    },
    "priority_type_code": {
        "1": "routine, routine referral, routine appointment",
        "2": "urgent, urgent referral, urgent appointment",
        "3": "two week wait, 2 week wait, 2ww, 2wk wait, tww, two weeks wait, 2 weeks wait, two week wait referral, "
        "2ww referral, two week wait cancer, 2ww cancer, 2 week wait cancer, two week wait suspected cancer",
    },
    "referral_source_code": {
        "01": "following an emergency admission, consultant after an emergency admission, after an emergency admission",
        "02": "following a domiciliary consultation, consultant after a domiciliary visit, after a domiciliary visit",
        "03": "referral from a general medical practitioner, general medical practitioner, gp, gp referral, "
        "general practitioner, referral from a general practitioner, referral from gp, general practitioner referral, "
        "gp referred, referred by gp, general practitioner gp",
        "04": "referral from an accident and emergency department including minor injuries units and walk in centres, "
        "referral from an accident and emergency department, referral from an emergency department, a e, a e referral, "
        "a e department, accident and emergency, accident and emergency department, emergency department, ed, "
        "referral from a e, referral from emergency department, ed referral, emergency department referral",
        "05": "referral from a consultant other than in an accident and emergency department, another consultant, "
        "other consultant, consultant to consultant, referral from another consultant, consultant referral, "
        "referral from a consultant other than in an emergency department, consultant to consultant referral",
        "06": "self referral, self referred, self, patient self referral",
        "07": "referral from a prosthetist, prosthetist",
        "10": "following an accident and emergency attendance including minor injuries units and walk in centres, "
        "following an accident and emergency attendance, following an emergency department attendance, "
        "consultant after an emergency department attendance, after an emergency department attendance",
        "11": "other initiated by the consultant responsible for the consultant out patient episode, consultant other, "
        "other initiated by the consultant responsible for the consultant outpatient episode",
        "12": "referral from a general practitioner with an extended role, "
        "general practitioner with an extended role, gp with an extended role, "
        "referral from a general practitioner with a special interest, "
        "general practitioner with a special interest, gp with a special interest, gpwsi, gpwer",
        "13": "referral from a specialist nurse secondary care, referral from a specialist nurse, specialist nurse",
        "14": "referral from an allied health professional, allied health professional, ahp, ahp referral",
        "15": "referral from an optometrist, optometrist",
        "16": "referral from an orthoptist, orthoptist",
        "17": "referral from a national screening programme, national screening programme",
        "92": "referral from a general dental practitioner, general dental practitioner, gdp, gdp referral",
        "93": "referral from a community dental service, community dental service",
        "97": "other not initiated by the consultant responsible for the consultant out patient episode, "
        "other not initiated by the consultant responsible for the consultant outpatient episode",
    },
    "gender_code": {
        "1": "male, m, man, boy",
        "2": "female, f, woman, girl",
        "9": "indeterminate, indeterminate unable to be classified as either male or female, not specified, "
        "unable to be classified as either male or female",
        "X": "not known, unknown, gender not known, sex not known, not known person stated gender code not recorded",
    },
}
# Names of services that are not those of today: of main specialties, and from before 2021.
_OTHER_SERVICES: Final = {
    "110": "t o, trauma orthopaedic, trauma and orthopaedic surgery, orthopaedics and trauma",
    "120": "ent, ear nose throat, otolaryngology, ear nose and throat ent",
    "144": "maxillo facial surgery",
    "145": "oral and maxillo facial surgery",
    "300": "general medicine",
    "307": "diabetic medicine",
    "340": "thoracic medicine, respiratory",
    "361": "nephrology, renal",
    "420": "paediatric",
    "430": "geriatric medicine, care of the elderly, elderly care",
    "180": "accident and emergency, accident emergency",
}
# "Late, not seen" and "not late, seen" differ, so that elsewhere the order counts.
_IN_ANY_ORDER: Final = ("ethnic_category_code", "treatment_function_code")
_WORDS: Final = re.compile(r"[a-z0-9]+")
# The heading "Chinese or other ethnic group", which includes more than Chinese.
_HEADING_ALONE: Final = re.compile(r"\W*chinese\W*(?:/|&|\+|and\b|or\b)\W*(?:any )?other\b[^-:,(]*")
# Longer than any description with its code.
_LONGEST: Final = 200


def whole_code(text: str, target: Column) -> str | None:
    """The code that the whole of `text` is, with lost leading zeros; of ethnicity also with a local digit."""
    bare = text.strip().upper()
    if target.name == "ethnic_category_code":
        whole = re.fullmatch(WHOLE_ETHNIC_CODE, bare)
        return (bare if bare == "99" else bare[0]) if whole else None
    padded = bare.zfill(target.width) if bare.isascii() and bare.isdigit() else bare
    return padded if padded in target.codes else None


def described_code(text: str, target: Column) -> str | None:
    """The code that `text` describes; None where it is no known description."""
    if len(text) > _LONGEST or _has_other_letters(text) or not target.codes:
        return None
    if target.name == "ethnic_category_code" and _HEADING_ALONE.fullmatch(text.lower()):
        return None
    words = _WORDS.findall(text.lower())
    return _known(target.name).get(_key(words, target.name)) or _with_its_code(words, target)


def _with_its_code(words: list[str], target: Column) -> str | None:
    for code, others in ((words[:1], words[1:]), (words[-1:], words[:-1])):
        stated = whole_code(code[0], target) if code and others else None
        if stated and _known(target.name).get(_key(others, target.name)) == stated:
            return stated
    return None


def _has_other_letters(text: str) -> bool:
    """Whether letters or digits other than ASCII occur: a word would be read without them."""
    return any(sign.isalnum() and not sign.isascii() for sign in text)


def _key(words: list[str], name: str) -> str:
    """Words in the form in which descriptions of the column `name` are compared."""
    kept = [word for word in words if word != "and"]
    return " ".join(sorted(kept) if name in _IN_ANY_ORDER else kept)


@cache
def _known(name: str) -> Mapping[str, str]:
    """Codes of the column `name` by the key of their descriptions; a description of two codes is left out."""
    codes = defaultdict(set)
    for phrase, code in _phrases(column(name)):
        words = _WORDS.findall(phrase.lower())
        codes[_key(words, name)].add(code)
        codes[_key([word for word in words if word != "or"], name)].add(code)
    return MappingProxyType({key: next(iter(found)) for key, found in codes.items() if len(found) == 1 and key})


def _phrases(target: Column) -> Iterator[tuple[str, str]]:
    if target.name == "ethnic_category_code":
        return ethnic_descriptions()
    if target.codes is TREATMENT_FUNCTION:
        return chain(_services(), _split(_OTHER_SERVICES))
    if target.name not in _DESCRIPTIONS:
        return ((meaning, code) for code, meaning in target.codes.items())
    return _split(_DESCRIPTIONS[target.name])


def _services() -> Iterator[tuple[str, str]]:
    for code, name in TREATMENT_FUNCTION.items():
        yield name, code
        yield f"{name} service", code


def _split(phrases: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((phrase, code) for code, text in phrases.items() for phrase in text.split(", "))
