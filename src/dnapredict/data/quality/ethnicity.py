"""How well each site records ethnicity: known, declined, not asked, blank and not a national code apart."""

import re
from dataclasses import dataclass
from typing import Final

from dnapredict.data import codes
from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace

__all__ = ["SiteEthnicity", "ethnicity_by_site"]

_LOOKS_LIKE_A_SITE: Final = re.compile(r"[A-Z0-9]{3,9}")
_FEWEST_PATIENTS: Final = 10
_MOST_SITES: Final = 300


@dataclass(frozen=True)
class SiteEthnicity:
    """Rows of one site by what its records say of ethnicity.

    `site` is its code, a number where the code does not look like one, and blank where none is
    recorded.
    """

    site: str
    rows: int
    known: int
    declined: int
    not_asked: int
    blank: int
    not_national: int


def ethnicity_by_site(checked: Checked, workspace: Workspace) -> tuple[SiteEthnicity, ...]:
    """Every site with its kept rows, the largest first; nothing where the extract has no ethnicity.

    An extract without sites, or with more different ones than a board can have, counts as one.
    """
    if "ethnic_category_code" not in checked.present:
        return ()
    found = _counted(checked, workspace, site="site_code")
    if len(found) > _MOST_SITES:
        found = _counted(checked, workspace, site="NULL::VARCHAR")
    return tuple(
        SiteEthnicity(_name(row.pop("site"), row.pop("patients"), place), **row)
        for place, row in enumerate(found, start=1)
    )


def _counted(checked: Checked, workspace: Workspace, *, site: str) -> list[dict[str, int]]:
    ethnic, known = "ethnic_category_code", _list(set(codes.ETHNIC_CATEGORY) - set(codes.UNKNOWN_ETHNICITY))
    declined, not_asked = codes.UNKNOWN_ETHNICITY[0], _list(codes.UNKNOWN_ETHNICITY[1:])
    patients = "approx_count_distinct(patient_id)" if "patient_id" in checked.present else "count(*)"
    rows: list[dict[str, int]] = workspace.fetch(
        f"SELECT {site} AS site, {patients} AS patients, count(*) AS rows, "
        f"count(*) FILTER ({ethnic} IN ({known})) AS known, "
        f"count(*) FILTER ({ethnic} = '{declined}') AS declined, "
        f"count(*) FILTER ({ethnic} IN ({not_asked})) AS not_asked, "
        f"count(*) FILTER ({ethnic} IS NULL) AS blank, "
        f"count(*) FILTER ({ethnic} NOT IN ({_list(codes.ETHNIC_CATEGORY)})) AS not_national "
        f"FROM {checked.rows.get_name()} GROUP BY site ORDER BY rows DESC, site LIMIT {_MOST_SITES + 1}"
    ).to_pylist()
    return rows


def _name(site: object, patients: int, place: int) -> str:
    """The site's code; a number where a patient's value may have come into the column."""
    if site is None:
        return ""
    looks_like_one = _LOOKS_LIKE_A_SITE.fullmatch(str(site)) is not None
    return str(site) if looks_like_one and patients >= _FEWEST_PATIENTS else f"site {place}"


def _list(values: object) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))  # type: ignore[call-overload]
