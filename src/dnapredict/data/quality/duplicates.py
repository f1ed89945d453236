"""Appointments that an extract holds twice, under one id or under two."""

from dataclasses import dataclass
from typing import Final

from dnapredict.data import codes
from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace

__all__ = ["Duplicates", "duplicates"]

_CANCELLED: Final = f"'{codes.CANCELLED_BY_PATIENT}', '{codes.CANCELLED_BY_PROVIDER}'"


@dataclass(frozen=True)
class Duplicates:
    """What is there twice.

    Attributes
    ----------
    repeated_ids
        Rows refused because an earlier row has their `appointment_id`.
    same_visit
        Kept rows that share patient, time and clinic with an earlier row under another id, those
        cancelled left out; None where the extract has no patients.
    """

    repeated_ids: int
    same_visit: int | None


def duplicates(checked: Checked, workspace: Workspace) -> Duplicates:
    """Both kinds, counted over the whole extract."""
    repeated = sum(each.count for each in checked.rejections if each.rule == "duplicate_appointment_id")
    if "patient_id" not in checked.present:
        return Duplicates(repeated, None)
    found = workspace.fetch(
        f"SELECT coalesce(sum(n - 1), 0)::BIGINT AS later FROM ("
        f"SELECT count(*) AS n FROM {checked.rows.get_name()} "
        f"WHERE patient_id IS NOT NULL AND coalesce(outcome_code, '') NOT IN ({_CANCELLED}) "
        f"GROUP BY hash(patient_id, starts_at, clinic_code) HAVING n > 1)"
    )
    return Duplicates(repeated, int(found["later"][0].as_py()))
