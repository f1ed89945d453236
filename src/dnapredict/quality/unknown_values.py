"""Sentences on values that no code list has, for every verb that reads an extract: nothing is recoded silently."""

from collections.abc import Iterator

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.quality.measures.record_quality import unknown_codes
from dnapredict.quality.published_figures import published_codes

_MOST_TOLD = 12


def unknown_value_sentences(checked: Checked, workspace: Workspace, *, rule: Disclosure) -> Iterator[str]:
    """One sentence for each coded column that has other values than its codes.

    A value is told where it can be no patient's (`quality.measures.record_quality`), with its count, small counts
    hidden and others rounded by `rule`; the other values are counted.
    """
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
