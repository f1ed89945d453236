"""Sentences on values that no code list has, for every verb that reads an extract: nothing is recoded silently."""

from collections.abc import Iterator
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import TEMPORARY, UNLINKED
from dnapredict.data.small_numbers import publish_count
from dnapredict.data.validation.checked import Checked
from dnapredict.quality.measures.record_quality import unknown_codes
from dnapredict.quality.measures.source_words import source_words
from dnapredict.quality.published_figures import published_codes, published_words

_MOST_TOLD: Final = 12


def unknown_value_sentences(checked: Checked, workspace: Workspace, *, rule: Disclosure) -> Iterator[str]:
    """One sentence for each column with unreadable cells, and for each coded column with values that are no codes.

    A value is told where it can be no patient's (`quality.measures.record_quality`), with its count, small counts
    hidden and others rounded by `rule`; the other values are counted.
    """
    yield from map(str, checked.unreadable)
    for each in published_codes(unknown_codes(checked, workspace), rule):
        rows = "a few" if each.rows is None else f"about {each.rows:,}"
        told = [f'"{code.code}" {code.rows:,}' for code in each.told[:_MOST_TOLD]]
        others = each.values - len(told)
        if others:
            told.append(f"{others:,} other value{'s' if others > 1 else ''}")
        refused = each.column == "outcome_code"
        become = "refused" if refused else "counted as not known"
        yield (
            f"{each.column}: {rows} rows hold no national code and are {become} ({', '.join(told)}). "
            "Translate the values in a mapping."
        )


def word_sentences(checked: Checked, workspace: Workspace, *, rule: Disclosure) -> Iterator[str]:
    """One sentence for each column in which words became codes, with the words, for a person to confirm."""
    by_column: dict[str, list[str]] = {}
    for each in published_words(source_words(checked, workspace), rule):
        by_column.setdefault(each.column, []).append(f'"{each.word}" = {each.code}')
    for column, words in by_column.items():
        more = f", and {len(words) - _MOST_TOLD:,} more" if len(words) > _MOST_TOLD else ""
        yield f"{column}: words read as codes: {', '.join(words[:_MOST_TOLD])}{more}. Confirm them."


def patient_number_sentences(checked: Checked, workspace: Workspace, *, rule: Disclosure) -> Iterator[str]:
    """How many rows have a temporary number or none of a person, and how many numbers occur in two forms."""
    if "patient_id" not in checked.present:
        return
    rows = checked.all_rows.get_name()
    counted = workspace.fetch(_PATIENT_NUMBERS.format(rows=rows)).to_pylist()[0]
    two_forms = checked.ingest.numbers_in_two_forms
    if counted["with_zeros"]:
        two_forms += workspace.fetch(_TWO_FORMS.format(rows=rows))["n"][0].as_py()
    if counted["temporary"]:
        yield f"patient_id: {_rows(counted['temporary'], rule)} hold a temporary number, kept as that of a patient."
    if counted["unlinked"]:
        yield (
            f"patient_id: {_rows(counted['unlinked'], rule)} hold a placeholder such as TBC or 999, each kept as "
            "another patient without history."
        )
    if two_forms:
        yield (
            f"patient_id: {_count(two_forms, rule)} numbers occur with and without leading zeros. They are kept as "
            "different patients: export the numbers as text, with their zeros."
        )


def _count(number: int, rule: Disclosure) -> str:
    shown = publish_count(number, rule)
    return "a few" if shown is None else f"about {shown:,}"


def _rows(number: int, rule: Disclosure) -> str:
    return f"{_count(number, rule)} rows"


_PATIENT_NUMBERS: Final = f"""
SELECT count(*) FILTER (starts_with(patient_id, '{TEMPORARY}')) AS temporary,
       count(*) FILTER (starts_with(patient_id, '{UNLINKED}')) AS unlinked,
       count(*) FILTER (starts_with(patient_id, '0')) AS with_zeros
FROM {{rows}}
"""
_TWO_FORMS: Final = """
SELECT count(DISTINCT patient_id) AS n FROM {rows} WHERE patient_id IN (
    SELECT ltrim(patient_id, '0') FROM {rows} WHERE starts_with(patient_id, '0') AND patient_id SIMILAR TO '0[0-9]+')
"""
