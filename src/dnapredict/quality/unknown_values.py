"""Sentences on values that no code list has, for every verb that reads an extract: nothing is recoded silently."""

from collections.abc import Iterator

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.quality.measures.record_quality import unknown_codes
from dnapredict.quality.measures.source_words import source_words
from dnapredict.quality.published_figures import published_codes, published_words

_MOST_TOLD = 12


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
