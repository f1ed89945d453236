"""All that is counted of an extract's quality, in a handful of passes of the embedded engine."""

from dataclasses import dataclass

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.validation.checked import Checked, Rejection
from dnapredict.quality.measures.record_quality import (
    Duplicates,
    ExtractMonth,
    TimesRead,
    UnknownCodes,
    duplicates,
    months,
    times_read,
    unknown_codes,
)
from dnapredict.quality.measures.recording_by_group import (
    MissedByGroup,
    SiteEthnicity,
    ethnicity_by_site,
    missed_by_group,
)


@dataclass(frozen=True)
class Profile:
    """Exact figures of one extract: nothing here may be shown before it is rounded."""

    rows: int
    kept: int
    rejected_share: float
    present: frozenset[str]
    entry: IngestReport
    rejections: tuple[Rejection, ...]
    months: tuple[ExtractMonth, ...]
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
        entry=checked.ingest,
        rejections=checked.rejections,
        months=months(checked, workspace),
        unknown_codes=unknown_codes(checked, workspace),
        duplicates=duplicates(checked, workspace),
        ethnicity=ethnicity_by_site(checked, workspace),
        missed=missed_by_group(checked, workspace),
        times=times_read(checked, workspace, zone=zone),
    )
