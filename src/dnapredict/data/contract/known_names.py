"""What columns and codes are called elsewhere: hospital statistics, administration systems, public extracts.

Names are compared without case, spaces and punctuation. Where two columns of an extract could be the same
contract column, the name that comes first here wins.
"""

import re
from typing import Final

# Words for "not recorded", in capitals; compared in any case. They mean the same as an empty cell in every
# column, except where a column lists one of them in `Column.meaningful_words`.
NOT_RECORDED: Final = (
    *("N/A", "N.A.", "N.A", "N\\A", "NA", "<NA>", "#N/A", "#NA", "NOT APPLICABLE"),
    *("N / A", "N/A.", "NK", "N/K", "N.K.", "N.K", "NIL", "NO DATA", "NONE RECORDED", "NOT STATED"),
    *("NULL", "(NULL)", "<NULL>", "[NULL]", "#NULL!", "\\N", "NONE", "NAN", "NAT", "UNDEFINED"),
    *("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!"),
    *("-", "--", "---", "\u2010", "\u2013", "\u2014", "\u2212", "*", "?", "??", "???", ".", "..", "..."),
    *("UNKNOWN", "NOT KNOWN", "NOT RECORDED", "NOT AVAILABLE", "NOT ENTERED", "MISSING"),
    *("BLANK", "(BLANK)"),
)


# What stands in a cell that is filled and holds nothing: a field that must be filled, a telephone that is not there.
# In small letters; zeros and nines throughout are added where they are looked up.
SAYS_NOTHING: Final = (
    *("no", "n", "f", "false", "x", "xx", "xxx", "tbc", "tba", "to be confirmed", "no mobile number", "no number"),
    *("no phone", "no telephone", "no contact number", "not given", "none given", "not provided", "none provided"),
    *("not supplied", "declined", "refused", "declined to give", "refused to give", "withheld", "ex-directory"),
    *("ex directory", "landline only", "landline", "not held", "none held", "not applicable"),
)


def plain(text: str) -> str:
    """A name or word in the form in which it is compared.

    >>> plain("DNA / Cancelled (Pt.)")
    'dnacancelledpt'
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _names(text: str) -> tuple[str, ...]:
    return tuple(map(plain, text.split(",")))


# Contract column: names of it, hospital statistics (HES, SUS) last.
HEADERS: Final = {
    "appointment_id": _names(
        "appointment id, appt id, appointment number, appt number, appointment no, appt no, attendance id, booking id, "
        "booking number, booking no, attendance number, attendance no, ubrn, "
        "appt ref, appointment ref, appointment reference, booking ref, booking reference, episode id, "
        "attendance identifier, outpatient attendance identifier, attendkey, attendno"
    ),
    "patient_id": _names(
        "patient id, patient number, pat no, patient no, pas number, hospital number, hospital no, hosp no, "
        "hosp number, hosp id, pt no, pt number, pt id, pat id, pat number, case note number, casenote no, mrn, rxr, "
        "local patient identifier, unit number, token person id, hesid, encrypted hesid, pseudo hesid, "
        "lopatid"
    ),
    "booked_at": _names(
        "booked date, booked at, booking date, appointment booked date, appt booked date, date booked, "
        "appt made, booked, created date, scheduled day, scheduling date, reqdate, "
        "referral request received date"
    ),
    "starts_at": _names(
        "appointment date time, appt date time, appointment datetime, start time, appt start, "
        "start date time, appointment day, appointment date, appt date, clinic date, apptdate"
    ),
    "recorded_at": _names("outcome recorded, outcome date, recorded at, status changed, date outcome recorded"),
    "referred_at": _names(
        "referral date, referred date, referred at, date of referral, referral received date, ref date, "
        "date referral received, referral request received date, reqdate"
    ),
    "rtt_period_start": _names(
        "rtt period start, rtt start date, clock start, clock start date, rttperstart, "
        "referral to treatment period start date"
    ),
    "rtt_status_code": _names("rtt status, rtt status code, rttperstat, referral to treatment period status"),
    "outcome_code": _names(
        "attended or did not attend, attended or did not attend code, attendance status, attended, "
        "appointment status, appt status, no show, dna, attendance, status"
    ),
    "site_code": _names(
        "site code, site code of treatment, site, organisation site identifier, hospital site, location code, sitetret"
    ),
    "provider_code": _names(
        "provider code, procode, procode3, procodet, trust code, organisation code code of provider, "
        "organisation identifier code of provider"
    ),
    "clinic_code": _names("clinic code, clinic, clinic id, session code, clinic name, neighbourhood"),
    "treatment_function_code": _names(
        "treatment function code, treatment function, activity treatment function code, specialty code, "
        "speciality code, tfc, specialty, speciality, tretspef"
    ),
    "first_attendance_code": _names(
        "first attendance code, first attendance, new fu, new or follow up, appointment type, appt type, "
        "visit type, firstatt"
    ),
    "consultation_mechanism_code": _names(
        "consultation mechanism, consultation medium used, medium, delivery method, consultation type, mode"
    ),
    "priority_type_code": _names("priority type, priority type code, priority, urgency"),
    "referral_source_code": _names("source of referral, source of referral for outpatients, referral source, refsourc"),
    "age_years": _names(
        "age, age at appointment, age at appt, age years, patient age, apptage, age at cds activity date"
    ),
    "gender_code": _names("gender, sex, person stated gender code, gender code, person gender"),
    "lsoa_code": _names("lsoa, lsoa21, lsoa21cd, lsoa 2021, lsoa11, lsoa11cd, lsoa 2011, lsoa code, soal"),
    "place_code": _names("place code, icb place, icb place code"),
    "imd_decile": _names("imd decile, index of multiple deprivation decile, deprivation decile, imd04 decile"),
    "distance_km": _names("distance km, distance, distance to site"),
    "interpreter_needed": _names(
        "interpreter needed, interpreter required, interpreter, needs interpreter, interpreter y n, interp, "
        "interp required, interp needed"
    ),
    "transport_booked": _names("transport booked, transport, patient transport, transport required"),
    "has_mobile": _names("has mobile, mobile on record"),
    "receives_welfare": _names("scholarship, receives welfare, welfare"),
    "times_rescheduled": _names("times rescheduled, reschedules, number of reschedules, times moved"),
    "ethnic_category_code": _names("ethnic category, ethnicity, ethnic origin, ethnic group, ethnos"),
    "disability_flag": _names("disability, disability flag, handcap, handicap"),
    "learning_disability_flag": _names(
        "learning disability, learning disability flag, ld flag, learning disability register"
    ),
    "language_code": _names("language, preferred language, language code, spoken language"),
    "plus_group": _names("plus group, inclusion group"),
    "trust_side_reason": _names("trust side reason, trust reason, hospital error"),
    "contacted": _names("contacted, validation call, called"),
    "trial_arm": _names("trial arm, arm of trial, randomised arm, study arm"),
    "opt_out": _names(
        "opt out, opted out, opt out of calls, opted out of calls, do not call, do not ring, no calls, "
        "no calls wished, does not wish to be called"
    ),
    "accessible_information_code": _names(
        "accessible information, accessible information need, accessible information needs, ais, ais flag, ais needs, "
        "accessible information standard, communication needs, communication need, reasonable adjustments"
    ),
    "carer_or_child": _names("carer or child, call parent or carer, contact carer, contact parent"),
}
# Columns that only the person who calls sees. A name that `HEADERS` has too gives both contract columns.
CONTACT_HEADERS: Final = {
    "person_full_name": _names("full name, name, name of patient, patient, person full name, name in full"),
    "person_given_name": _names(
        "forename, forenames, first name, first names, given name, given names, forename 1, christian name"
    ),
    "person_family_name": _names("surname, last name, family name"),
    "person_birth_date": _names("date of birth, dob, birth date"),
    "mobile_telephone": _names(
        "mobile, mobile number, mobile no, mobile tel, mobile telephone number, mobile phone, mobile phone number, "
        "mob, mob no, mob tel, cell phone, mobile contact number, tel mobile, telephone mobile, phone mobile, "
        "tel m, phone m, tel mob"
    ),
    "home_telephone": _names(
        "tel h, phone h, home tel, home telephone number, home tel no, home phone, home phone number, home number, "
        "landline, landline number, tel home, telephone home, phone home, telephone, telephone number, telephone no, "
        "tel, tel no, tel number, phone, phone number, phone no, contact number, contact no, contact tel, "
        "contact telephone, contact telephone number, contact phone, telephone 1, tel 1, phone 1"
    ),
    "other_telephone": _names(
        "other tel, other phone, other telephone number, other number, work tel, work telephone, work phone, "
        "work telephone number, work number, tel work, telephone work, phone work, alternative number, "
        "alternative tel, alternative telephone, alternative phone, alternative contact number, carer tel, "
        "carer telephone, carer phone, parent tel, "
        "parent telephone, parent phone, next of kin tel, next of kin telephone, nok tel, nok telephone, "
        "second number, telephone 2, tel 2, phone 2"
    ),
    "preferred_language": _names(
        "pref language, pref lang, preferred lang, lang, language, spoken language, main language, first language, "
        "language spoken, language description, interpreter language, preferred spoken language"
    ),
    "preferred_contact_time": _names(
        "preferred contact times, preferred time, pref time, preferred time to call, best time to call, best time, "
        "preferred call time, contact time, time to call, when to call"
    ),
}
# Columns that become a contract column together with another, or in another form.
DAYS: Final = _names("appointment date, appt date, clinic date, date, appointment day, session date")
TIMES: Final = _names("appointment time, appt time, clinic time, time, slot time, start time, appt start time, start")
BIRTH: Final = _names("date of birth, dob, birth date, patient dob, person birth date")
NHS_NUMBER: Final = _names("nhs number, nhs no, nhs num, nhsnumber, newnhsno, patient nhs number")
POSTCODE: Final = _names("postcode, post code, postal code, patient postcode, home postcode, homeadd")

# What stays outside, by what names hold, and why; the first that fits.
LEFT_OUT: Final = (
    (r"^(clinic|site|special|ward|trust|provider).*(name|desc)", "a name of what a code says already"),
    (
        r"^(nhs|patient|pat|hospital|hosp|pas|unit|local)?(no|number|num|id|identifier)$|nhsno|^mrn$",
        "personal: another number of the patient",
    ),
    (
        r"name|initial|address|email|nextofkin|carer|phone|mobile|^tel|contactno|title",
        "personal: never enters (a worklist can carry it through, see serving/worklist.toml)",
    ),
    (
        r"sms|remind|textmessage|letter|confirmed",
        "a treatment: who was reminded, and when, is no cause to expect them or not",
    ),
    (
        r"outcome|dnadate|cancel.*(date|reason)|arriv|seentime|discharge|(previous|past|total|noof)dna|dnas$",
        "known only after the event, or counted to the end of the extract: a leak from the future",
    ),
    (
        r"hypert|hipert|diabet|alcohol|diag|icd|opertn|opcs|procedure|allerg|medicat|condition",
        "clinical, and not on the register of agreed factors",
    ),
    (r"consultant|consult$|clinician|doctor|staff|gppract?|gpprac|^gp", "about staff, not on the register"),
)

# Local codes of two letters in common use. The Data Dictionary leaves the second character to each trust, and
# many of these are also words or codes of countries (GB, CN, SA), so they are only proposed in a draft.
_LOCAL_ETHNIC_CODES: Final = {
    f"{national}{local}".lower(): national
    for national, locals_ in {
        "C": "ABCDEFGHJKLMNPQRSTUVWXY",
        "G": "ABCDEF",
        "L": "ABCDEFGHJK",
        "P": "ABCDE",
        "S": "ABCDE",
    }.items()
    for local in locals_
}

# Names of columns that ask whether an appointment was missed; in one that asks whether it was attended, "no" may
# also be a cancellation.
ASKS_WHETHER_MISSED: Final = _names("no show, noshow, dna, did not attend, missed, dna flag, dna y n")
MISSED_YES_NO: Final = {"yes": "3", "no": "5", "y": "3", "n": "5", "true": "3", "false": "5", "1": "3", "0": "5"}
# Names of columns that say who cancelled, and their words.
SAYS_WHO_CANCELLED: Final = _names("cancelled by, canceled by, cancellation by, who cancelled, cancellation source")
CANCELLED_BY: Final = {
    **dict.fromkeys(_names("patient, pt, by patient, client, p"), "2"),
    **dict.fromkeys(_names("hospital, hosp, by hospital, trust, provider, clinic, h"), "4"),
}
# Words for codes by contract column, which a draft proposes for a person to confirm. The contract itself takes only
# the descriptions in `data.contract.descriptions`, which can mean nothing else.
PROPOSED_WORDS: Final = {
    "outcome_code": {
        "noshow": "3",
        "show": "5",
        **dict.fromkeys(_names("attended, arrived, seen, checked out, complete, completed, attended on time"), "5"),
        **dict.fromkeys(_names("attended late, late seen, arrived late seen"), "6"),
        **dict.fromkeys(_names("dna, did not attend, no show, not attended, failed to attend, fta, dnatt"), "3"),
        **dict.fromkeys(_names("arrived late not seen, late not seen"), "7"),
        **dict.fromkeys(
            _names("cancelled by patient, patient cancelled, pt cancelled, cancelled patient, can pat, pcan"),
            "2",
        ),
        **dict.fromkeys(
            _names(
                "cancelled by hospital, hospital cancelled, cancelled by provider, provider cancelled, "
                "cancelled hospital, hosp can, can hosp, hcan, cancelled by trust"
            ),
            "4",
        ),
        **dict.fromkeys(_names("booked, scheduled, future, pending, open, not yet outcomed, unoutcomed"), "0"),
    },
    "gender_code": {
        **dict.fromkeys(_names("m, male, man, boy"), "1"),
        **dict.fromkeys(_names("f, female, woman, girl"), "2"),
        **dict.fromkeys(_names("i, indeterminate, not specified"), "9"),
        **dict.fromkeys(_names("u, unknown, not known, 0"), "X"),
    },
    "first_attendance_code": {
        **dict.fromkeys(_names("n, new, first, new patient, first attendance, new f2f"), "1"),
        **dict.fromkeys(_names("f, fu, follow up, followup, review, old, subsequent, follow up f2f"), "2"),
        **dict.fromkeys(_names("new telephone, new tel, first telephone, new video"), "3"),
        **dict.fromkeys(_names("follow up telephone, fu tel, fu telephone, telephone follow up, fu video"), "4"),
    },
    "consultation_mechanism_code": {
        **dict.fromkeys(_names("face to face, f2f, in person, ftf"), "01"),
        **dict.fromkeys(_names("telephone, phone, tel"), "02"),
        **dict.fromkeys(_names("video, video call"), "11"),
    },
    "priority_type_code": {
        **dict.fromkeys(_names("routine, r"), "1"),
        **dict.fromkeys(_names("urgent, u"), "2"),
        **dict.fromkeys(_names("two week wait, 2ww, 2 week wait"), "3"),
    },
    "referral_source_code": {
        **dict.fromkeys(_names("gp, gp referral, general practitioner"), "03"),
        **dict.fromkeys(_names("a&e, ae, ed, emergency department"), "04"),
        **dict.fromkeys(_names("other consultant"), "05"),
        **dict.fromkeys(_names("self, self referral"), "06"),
    },
    "ethnic_category_code": {
        **dict.fromkeys(_names("white british, british"), "A"),
        **dict.fromkeys(_names("white irish, irish"), "B"),
        **dict.fromkeys(_names("other white, any other white background"), "C"),
        **dict.fromkeys(_names("indian"), "H"),
        **dict.fromkeys(_names("pakistani"), "J"),
        **dict.fromkeys(_names("bangladeshi"), "K"),
        **dict.fromkeys(_names("caribbean, black caribbean"), "M"),
        **dict.fromkeys(_names("african, black african"), "N"),
        **dict.fromkeys(_names("chinese"), "R"),
        **dict.fromkeys(_names("not stated, declined, refused"), "Z"),
        **dict.fromkeys(_names("not known, unknown, not asked"), "99"),
        **_LOCAL_ETHNIC_CODES,
    },
}
