"""What the contract makes of words in coded columns: the right code, or not known; never another person's code.

For a data manager. A blank code means that the text is not known and is reported, or that nothing was recorded.
"""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.data.contract import codes, descriptions
from dnapredict.data.contract.columns import COLUMNS, Column, column
from dnapredict.data.contract.descriptions import described_code, whole_code
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.prepared_queries import FEW_ROWS
from dnapredict.data.validation import contract_check

NATIONAL = """
    description of the NHS Data Dictionary                | code
    White - British                                       | A
    White - Irish                                         | B
    White - Any other White background                    | C
    Mixed - White and Black Caribbean                     | D
    Mixed - White and Black African                       | E
    Mixed - White and Asian                               | F
    Mixed - Any other mixed background                    | G
    Asian or Asian British - Indian                       | H
    Asian or Asian British - Pakistani                    | J
    Asian or Asian British - Bangladeshi                  | K
    Asian or Asian British - Any other Asian background   | L
    Black or Black British - Caribbean                    | M
    Black or Black British - African                      | N
    Black or Black British - Any other Black background   | P
    Other Ethnic Groups - Chinese                         | R
    Other Ethnic Groups - Any other ethnic group          | S
    Not stated                                            | Z
    Not known                                             | 99
"""
CENSUS_2021 = """
    label of the 2021 census                                                                | code
    Asian, Asian British or Asian Welsh: Bangladeshi                                        | K
    Asian, Asian British or Asian Welsh: Chinese                                            | R
    Asian, Asian British or Asian Welsh: Indian                                             | H
    Asian, Asian British or Asian Welsh: Pakistani                                          | J
    Asian, Asian British or Asian Welsh: Other Asian                                        | L
    Black, Black British, Black Welsh, Caribbean or African: African                        | N
    Black, Black British, Black Welsh, Caribbean or African: Caribbean                      | M
    Black, Black British, Black Welsh, Caribbean or African: Other Black                    | P
    Mixed or Multiple ethnic groups: White and Asian                                        | F
    Mixed or Multiple ethnic groups: White and Black African                                | E
    Mixed or Multiple ethnic groups: White and Black Caribbean                              | D
    Mixed or Multiple ethnic groups: Other Mixed or Multiple ethnic groups                  | G
    White: English, Welsh, Scottish, Northern Irish or British                              | A
    White: Irish                                                                            | B
    White: Gypsy or Irish Traveller                                                         | C
    White: Roma                                                                             | C
    White: Other White                                                                      | C
    Other ethnic group: Arab                                                                | S
    Other ethnic group: Any other ethnic group                                              | S
"""
# Z is for who was asked and declined, 99 for who was not asked; blank where nothing was recorded.
NOT_KNOWN = """
    spelling                              | code
    NOT STATED                            | Z
    Not Stated (asked, declined)          | Z
    Not stated.                           | Z
    Declined                              | Z
    Patient declined                      | Z
    Declined to state                     | Z
    Declined to say                       | Z
    Declined - patient                    | Z
    Client declined                       | Z
    Asked but declined                    | Z
    Asked - Refused                       | Z
    Refused                               | Z
    REFUSED TO SAY                        | Z
    Patient refused                       | Z
    Refused to disclose ethnicity         | Z
    Information refused                   | Z
    Prefer not to say                     | Z
    prefer not to say                     | Z
    Prefers not to say                    | Z
    I'd rather not                        |
    I prefer not to say                   | Z
    Would prefer not to say               | Z
    Does not wish to disclose             | Z
    I do not wish to disclose my ethnic origin | Z
    Did not wish to answer                | Z
    Unable to choose                      | Z
    Ethnicity not stated                  | Z
    Ethnic category not stated            | Z
    Ethnic Group - Not Stated             | Z
    Ethnic category not stated - 2001 census | Z
    Z                                     | Z
    Z - Not stated                        | Z
    Not Stated (Z)                        | Z
    not known                             | 99
    Not-known                             | 99
    NOT KNOWN                             | 99
    Unknown                               | 99
    UNKNOWN                               | 99
    Ethnicity not known                   | 99
    Ethnic category unknown               | 99
    Ethnic origin not known               | 99
    Not asked                             | 99
    Not yet asked                         | 99
    Patient not asked                     | 99
    Ethnicity not asked                   | 99
    Not known (not asked)                 | 99
    Not in a condition to be asked        | 99
    99                                    | 99
    99 - Not known                        | 99
    X                                     | X
    N/A                                   |
    n/a                                   |
    NK                                    |
    Not recorded                          |
    Not specified                         |
    None                                  |
    NULL                                  |
    -                                     |
    ?                                     |
    No                                    |
    Withheld                              |
    Not disclosed                         |
    Blank                                 |
    Missing                               |
"""
OTHER_WORDINGS = """
    wording                                                              | code
    white british                                                        | A
    British - White                                                      | A
    WHITE/BRITISH                                                        | A
    White \u2013 British                                                 | A
    White British (A)                                                    | A
    A - White British                                                    | A
    A: British                                                           | A
    White British - ethnic category 2001 census                          | A
    White: English or Welsh or Scottish or Northern Irish or British - England and Wales ethnic category 2011 census | A
    White English/Welsh/Scottish/Northern Irish/British                  | A
    Other White background - ethnic category 2001 census (finding)       | C
    Irish Traveller                                                      | C
    White & Black Caribbean                                              | D
    Mixed: White/Black African                                           | E
    White and Asian                                                      | F
    Mixed - Other                                                        | G
    Indian - Asian or Asian British                                      | H
    British Indian                                                       | H
    Indian or British Indian - ethnic category 2001 census               | H
    Asian/Asian British - Pakistani                                      | J
    ASIAN BANGLADESHI                                                    | K
    Other Asian background                                               | L
    Asian - Other                                                        | L
    Black Caribbean                                                      | M
    African (Black or Black British)                                     | N
    Black or African or Caribbean or Black British: African - England and Wales ethnic category 2011 census | N
    Black - Any other                                                    | P
    Chinese                                                              | R
    Chinese or other ethnic group - Chinese                              | R
    Other - ethnic category 2001 census                                  | S
    Arab                                                                 | S
    Chinese or other                                                     |
    Chinese / Other ethnic group                                         |
    B - White British                                                    |
    White                                                                |
    Asian                                                                |
    Asian British                                                        |
    Asian or Asian British                                               |
    Black                                                                |
    Mixed                                                                |
    Other                                                                |
    Any other                                                            |
    White or Asian                                                       |
    Not White British                                                    |
    English                                                              |
    Zimbabwean                                                           |
    Polish                                                               |
    GB                                                                   |
    British\u00e9                                                        |
"""
OTHER_COLUMNS = """
    column                      | word                                            | code
    gender_code                 | Male                                            | 1
    gender_code                 | F                                               | 2
    gender_code                 | 1 - Male                                        | 1
    gender_code                 | 2 - Male                                        |
    gender_code                 | Not specified                                   | 9
    gender_code                 | Non-binary                                      |
    gender_code                 | Unknown                                         |
    outcome_code                | DNA                                             | 3
    outcome_code                | Did Not Attend                                  | 3
    outcome_code                | Did not attend - no advance warning given       | 3
    outcome_code                | 3 - Did not attend                              | 3
    outcome_code                | Attended                                        | 5
    outcome_code                | Attended on time                                | 5
    outcome_code                | Arrived late, was seen                          | 6
    outcome_code                | Arrived late - could not be seen                | 7
    outcome_code                | Cancelled by Patient                            | 2
    outcome_code                | Hospital Cancelled                              | 4
    outcome_code                | Cancelled by or on behalf of the patient        | 2
    outcome_code                | Appointment cancelled or postponed by the Health Care Provider | 4
    outcome_code                | Not applicable - appointment occurs in the future | 0
    priority_type_code          | ROUTINE                                         | 1
    priority_type_code          | Urgent                                          | 2
    priority_type_code          | 2WW                                             | 3
    priority_type_code          | Two Week Wait                                   | 3
    priority_type_code          | Soon                                            |
    referral_source_code        | GP Referral                                     | 03
    referral_source_code        | A&E                                             | 04
    referral_source_code        | Self-referral                                   | 06
    referral_source_code        | 3 - General Medical Practitioner                | 03
    referral_source_code        | Consultant                                      |
    consultation_mechanism_code | Face-to-Face                                    | 01
    consultation_mechanism_code | Telephone consultation                          | 02
    consultation_mechanism_code | Video                                           | 11
    consultation_mechanism_code | Virtual                                         |
    first_attendance_code       | New                                             | 1
    first_attendance_code       | Follow-Up                                       | 2
    first_attendance_code       | F/U                                             | 2
    first_attendance_code       | First telephone or telemedicine consultation    | 3
    first_attendance_code       | Other                                           |
    treatment_function_code     | 110 - Trauma and Orthopaedics                   | 110
    treatment_function_code     | Trauma & Orthopaedics                           | 110
    treatment_function_code     | 110 T&O                                         | 110
    treatment_function_code     | Orthopaedics and Trauma                         | 110
    treatment_function_code     | 110 - Cardiology                                |
    treatment_function_code     | ENT                                             | 120
    treatment_function_code     | Ear, Nose and Throat Service                    | 120
    treatment_function_code     | CARDIOLOGY                                      | 320
    treatment_function_code     | Geriatric Medicine                              | 430
    treatment_function_code     | Oncology                                        |
"""
YES_NO = """
    column             | cell          | read
    transport_booked   | Ambulance     | yes
    transport_booked   | None          | no
    transport_booked   | none          | no
    transport_booked   | Not required  | no
    transport_booked   | N/A           |
    transport_booked   | Unknown       |
    transport_booked   | Taxi?         |
    interpreter_needed | Required      | yes
    interpreter_needed | Not required  | no
    interpreter_needed | None          |
    interpreter_needed | N/A           |
    interpreter_needed | Urdu          |
    has_mobile         | N/A           |
    has_mobile         | No mobile     | no
    has_mobile         | Y             | yes
    has_mobile         | #N/A          |
    receives_welfare   | NULL          |
    contacted          | -             |
"""


def lines(text: str) -> list[list[str]]:
    """The cells of a table below its header."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()[1:]]


def read(name: str, cells: list[str], *, rows: int = 0) -> list[object]:
    """What a whole check makes of cells of the column `name`, repeated until there are at least `rows`."""
    repeated = cells * max(1, -(-rows // len(cells)))
    count = len(repeated)
    columns = {
        "row_number": range(count),
        "appointment_id": [f"a{number}" for number in range(count)],
        "booked_at": ["2025-01-02"] * count,
        "starts_at": ["2025-02-02 10:00"] * count,
        name: pa.array(repeated, pa.string()),
    }
    with Workspace() as workspace:
        table = workspace.keep(pa.table({key: pa.array(value) for key, value in columns.items()}))
        checked = contract_check.check(table, workspace, source="list")
        found = workspace.fetch(f"SELECT {name} FROM {checked.all_rows.get_name()} ORDER BY row_number")
    return found[name].to_pylist()


def codes_of(name: str, cells: list[str], *, rows: int = 0) -> list[str]:
    """The code of each cell, "" where it has none."""
    return [str(value) if value in column(name).codes else "" for value in read(name, cells, rows=rows)]


@pytest.mark.parametrize("table", [NATIONAL, CENSUS_2021, NOT_KNOWN, OTHER_WORDINGS])
def test_a_description_of_an_ethnic_group_is_its_code_or_not_known(table: str):
    texts, expected = zip(*lines(table), strict=True)
    found = codes_of("ethnic_category_code", list(texts))
    assert dict(zip(texts, found, strict=True)) == dict(zip(texts, expected, strict=True))


def test_all_national_descriptions_and_census_labels_and_60_spellings_are_in_the_tables():
    assert [code for _, code in lines(NATIONAL)] == [code for code in codes.ETHNIC_CATEGORY if code != "X"]
    assert len(lines(CENSUS_2021)) == 19
    assert len(lines(NOT_KNOWN)) >= 60


def test_a_long_extract_is_read_like_a_short_one():
    texts, expected = zip(*lines(NATIONAL), *lines(OTHER_WORDINGS), strict=True)
    found = codes_of("ethnic_category_code", list(texts), rows=FEW_ROWS + 1)
    assert found[: len(texts)] == list(expected)


def test_words_of_other_coded_columns_are_their_codes_or_not_known():
    cells = lines(OTHER_COLUMNS)
    for name in dict.fromkeys(name for name, _, _ in cells):
        words = {word: code for other, word, code in cells if other == name}
        assert dict(zip(words, codes_of(name, list(words)), strict=True)) == words


def test_yes_and_no_in_words_and_what_says_neither():
    for name, cell, expected in lines(YES_NO):
        assert read(name, [cell]) == [{"yes": True, "no": False, "": None}[expected]], (name, cell)


def code_of(text: str, target: Column) -> str | None:
    """The code that the whole of a cell is or, where it is none, that it describes; the check reads a cell so."""
    return whole_code(text, target) or described_code(text, target)


@pytest.mark.parametrize("name", [each.name for each in COLUMNS if each.codes])
def test_the_meaning_of_every_code_describes_it(name: str):
    for code, meaning in column(name).codes.items():
        ambiguous = (name == "referral_source_code" and code == "97") or (code == "X" and "statistics" in meaning)
        assert code_of(meaning, column(name)) == (None if ambiguous else code), meaning


WORDS = sorted(
    {word for text in (NATIONAL, CENSUS_2021, OTHER_WORDINGS, NOT_KNOWN) for word in re.findall(r"[A-Za-z0-9]+", text)}
)
KNOWN_TEXTS = {
    text for table in (NATIONAL, CENSUS_2021, NOT_KNOWN, OTHER_WORDINGS) for text, code in lines(table) if code
}

DESCRIBED = {
    word
    for each in COLUMNS
    if each.codes
    for phrase, _ in descriptions._phrases(each)
    for word in re.findall(r"[a-z]+", phrase.lower())
}


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(sorted(KNOWN_TEXTS)),
    st.sampled_from([*"qwyxv", "Not", "Never", "Smith", "\u00e9", "7", "Half"]),
    st.integers(0, 60),
)
def test_a_known_description_with_anything_more_in_it_is_not_known_or_says_the_same(text: str, more: str, place: int):
    """Another word, letter or sign never turns a description of one group into that of another."""
    changed = f"{text[:place]}{more}{text[place:]}"
    found = code_of(changed, column("ethnic_category_code"))
    assert found in (None, code_of(text, column("ethnic_category_code")))


# What a word leaves open: whoever is described by it has one of these codes, or none is known.
LEFT_OPEN = {
    "indian": "H",
    "pakistani": "J",
    "bangladeshi": "K",
    "chinese": "RS",
    "irish": "ABC",
    "arab": "S",
    "roma": "C",
    "caribbean": "DGMNP",
    "african": "EGMNP",
    "declined": "Z",
    "refused": "Z",
    "stated": "Z",
    "asked": "Z99",
}


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7), st.sampled_from([" ", " - ", "/", ", "]))
def test_no_mixture_of_words_becomes_a_code_that_one_of_its_words_rules_out(words: list[str], between: str):
    code = code_of(between.join(words), column("ethnic_category_code"))
    for word in words:
        assert code is None or code in LEFT_OPEN.get(word.lower(), code)


@settings(max_examples=examples(500), deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["Smith", "Z", "17", "A", "-", "Ward", "9"]), max_size=4).map(" ".join)
)
def test_a_text_that_is_neither_a_code_nor_made_of_words_of_descriptions_is_no_code(text: str):
    for each in (each for each in COLUMNS if each.codes):
        code = code_of(text, each)
        bare = text.strip().upper()
        is_code = bare.zfill(each.width) == code or (each.name == "ethnic_category_code" and bare[:1] == code)
        assert code is None or is_code or set(re.findall(r"[a-z]+", text.lower())) <= DESCRIBED


def test_two_descriptions_never_share_a_form_in_which_they_are_compared():
    """Otherwise the code of one of them would be a guess."""
    for each in (each for each in COLUMNS if each.codes):
        codes_by_key: dict[str, set[str]] = {}
        for phrase, code in descriptions._phrases(each):
            words = re.findall(r"[a-z0-9]+", phrase.lower())
            codes_by_key.setdefault(descriptions._key(words, each.name), set()).add(code)
        assert {key: found for key, found in codes_by_key.items() if len(found) > 1} == {}
