"""All counts of an extract's quality, in a few passes of DuckDB."""

from dataclasses import dataclass

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.validation.checked import Checked, Rejection, UnreadableCells
from dnapredict.quality.measures.record_quality import (
    ExtractMonth,
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
from dnapredict.quality.measures.source_words import SourceWord, source_words
from dnapredict.quality.report_figures import CodesNotKnown, Duplicates, TimeColumn


@dataclass(frozen=True)
class Profile:
    """Exact counts of one extract, which must be rounded before they are shown."""

    rows: int
    kept: int
    rejected_share: float
    present: frozenset[str]
    entry: IngestReport
    rejections: tuple[Rejection, ...]
    months: tuple[ExtractMonth, ...]
    unknown_codes: tuple[CodesNotKnown, ...]
    duplicates: Duplicates
    ethnicity: tuple[SiteEthnicity, ...]
    missed: tuple[MissedByGroup, ...]
    times: tuple[TimeColumn, ...]
    words: tuple[SourceWord, ...] = ()
    unreadable: tuple[UnreadableCells, ...] = ()


def profile(checked: Checked, workspace: Workspace, *, zone: str) -> Profile:
    """Count the quality of an extract that was checked against the contract.

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
        words=source_words(checked, workspace),
        unreadable=checked.unreadable,
    )
