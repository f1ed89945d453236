"""All that is counted of an extract's quality, in a handful of passes of the embedded engine."""

from dataclasses import dataclass

from dnapredict.data.checked import Checked, Rejection
from dnapredict.data.entry import Entry
from dnapredict.data.quality.duplicates import Duplicates, duplicates
from dnapredict.data.quality.ethnicity import SiteEthnicity, ethnicity_by_site
from dnapredict.data.quality.missed import MissedByGroup, missed_by_group
from dnapredict.data.quality.months import Month, months
from dnapredict.data.quality.times import TimesRead, times_read
from dnapredict.data.quality.unknown_codes import UnknownCodes, unknown_codes
from dnapredict.data.workspace import Workspace

__all__ = ["Profile", "profile"]


@dataclass(frozen=True)
class Profile:
    """Exact figures of one extract: nothing here may be shown before it is rounded."""

    rows: int
    kept: int
    rejected_share: float
    present: frozenset[str]
    entry: Entry
    rejections: tuple[Rejection, ...]
    months: tuple[Month, ...]
    unknown_codes: tuple[UnknownCodes, ...]
    duplicates: Duplicates
    ethnicity: tuple[SiteEthnicity, ...]
    missed: tuple[MissedByGroup, ...]
    times: tuple[TimesRead, ...]


def profile(checked: Checked, workspace: Workspace, *, zone: str) -> Profile:
    """Count everything about an extract that was held against the contract.

    Parameters
    ----------
    zone
        The clinic's clock, as a name of the IANA database such as Europe/London.
    """
    return Profile(
        rows=checked.total,
        kept=checked.kept,
        rejected_share=checked.rejected_share,
        present=checked.present,
        entry=checked.entry,
        rejections=checked.rejections,
        months=months(checked, workspace),
        unknown_codes=unknown_codes(checked, workspace),
        duplicates=duplicates(checked, workspace),
        ethnicity=ethnicity_by_site(checked, workspace),
        missed=missed_by_group(checked, workspace),
        times=times_read(checked, workspace, zone=zone),
    )
