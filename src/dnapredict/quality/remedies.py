"""Remedies: what a data manager can do about each rule that rows break."""

from types import MappingProxyType
from typing import Final

_OF_RULE: Final = MappingProxyType(
    {
        "more_cells_than_columns": "Have every cell quoted that holds the separator, or export as XLSX or Parquet.",
        "summary_row": "Leave totals and notes out of the export, or let them be refused: nothing is lost.",
        "cell_too_long": "Look at the rows named: free text may have come into a column of codes.",
        "no_appointment_id": "Export the id of every appointment. Totals and blank rows at the end can go.",
        "duplicate_appointment_id": "See whether the export joins a table that holds several rows for an "
        "appointment. Keep one row each; the first was kept.",
        "patient_id_not_an_nhs_number": "Check that patient_id comes from the column of NHS numbers, and "
        "that no spreadsheet has rounded it.",
        "no_booked_at": "Export when the appointment was made. A referral date is not the same.",
        "no_starts_at": "Leave out referrals that have no appointment yet.",
        "date_out_of_range": "Leave out appointments without a date: 2999-12-31 means not yet known.",
        "starts_before_booked": "Check that booked_at and starts_at are not swapped, and that a date was not "
        "read with day and month in turn.",
        "outcome_before_start": "Check what recorded_at is taken from: it should be when the outcome was "
        "entered, not when the row was made.",
        "outcome_code_unknown": "Translate the trust's own codes in the mapping, under "
        "[columns.outcome_code.translate].",
        "administrative_event": "Nothing to do: clock stops are no appointments and are set aside.",
    }
)
_BY_ENDING: Final = MappingProxyType(
    {
        "_in_scientific_notation": "A spreadsheet has rounded the number. Export it again as text, without "
        "opening the file in between.",
        "_order_unclear": "Give the column's date format in the mapping, such as format = '%d/%m/%Y'.",
        "_unreadable": "Give the column's date format in the mapping, such as format = '%d/%m/%Y %H:%M'.",
        "_invalid": "Check that the mapping takes the right column, and its unit.",
    }
)


def remedy(rule: str) -> str:
    """What to do about rows that break `rule`, in a sentence or two.

    >>> remedy("booked_at_unreadable")
    "Give the column's date format in the mapping, such as format = '%d/%m/%Y %H:%M'."

    Raises
    ------
    KeyError
        If there is no such rule, or nothing to do is known for it: whoever adds a rule says it here.
    """
    if rule in _OF_RULE:
        return _OF_RULE[rule]
    for ending, text in _BY_ENDING.items():
        if rule.endswith(ending):
            return text
    raise KeyError(rule)
