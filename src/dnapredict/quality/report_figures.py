"""The figures of the report. Field names are the keys of its JSON, which must not change.

Every count but those of whole files, of refused rows and of joins is rounded, and null where it is small
(the rule of `fairness/policy.toml`). A share is a number from 0 to 1, worked out from rounded counts.
Months are written as 2026-04 and are those of `starts_at` by the clinic's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SCHEMA = 1


class Urgency(StrEnum):
    """How soon a data manager should act."""

    NOW = "before training"
    SOON = "soon"
    KNOW = "good to know"


@dataclass(frozen=True)
class QualityFinding:
    """One finding: what was found, and what to do."""

    urgency: Urgency
    found: str
    action: str


@dataclass(frozen=True)
class LabelFault:
    """A fault of the outcomes: its name, whether it stops a training, what was found, and what to do."""

    fault: str
    stops: bool
    found: str
    action: str


@dataclass(frozen=True)
class RejectedRule:
    """Rows that break one rule; exact, with their first row numbers as in the file."""

    rule: str
    sentence: str
    action: str
    fault: bool
    count: int
    first_rows: tuple[int, ...]


@dataclass(frozen=True)
class Completeness:
    """One column of the contract: the share of kept rows in which it holds something, by month too.

    `present` is false where the extract has no such column; its shares are null then.
    """

    column: str
    note: str
    role: str
    present: bool
    share: float | None
    by_month: Mapping[str, float | None]


@dataclass(frozen=True)
class Code:
    """A value that is no national code, as it was read (capitals, leading zeros restored), and its rows."""

    code: str
    rows: int


@dataclass(frozen=True)
class CodesNotKnown:
    """Values of a coded column that are no national codes.

    `rows` have one of them, `values` is how many different ones there are, and `told` lists those that cannot
    be a patient's value, most frequent first.
    """

    column: str
    rows: int | None
    values: int
    told: tuple[Code, ...]


@dataclass(frozen=True)
class WordRead:
    """A word of the extract, the code (or yes, no) that it became with its meaning, and its rows.

    `by` is "mapping" or "description": who translated it, the mapping or the contract's list of descriptions.
    """

    column: str
    word: str
    code: str
    meaning: str
    by: str
    rows: int | None


@dataclass(frozen=True)
class CellsNotKnown:
    """Cells of an optional column that cannot be read and count as not known; exact, with their first rows."""

    column: str
    count: int
    first_rows: tuple[int, ...]
    sentence: str


@dataclass(frozen=True)
class Duplicates:
    """Rows rejected because an earlier row has their `appointment_id`, and possible repeats of one visit.

    `same_visit` counts kept rows that share patient, time and clinic with an earlier row under another id,
    cancelled ones left out; None where the extract has no patients, or where the number is hidden.
    """

    repeated_ids: int
    same_visit: int | None


@dataclass(frozen=True)
class MonthOutcomes:
    """Appointments of one month by outcome code, `blank` among them."""

    month: str
    rows: int | None
    outcomes: Mapping[str, int | None]


@dataclass(frozen=True)
class SiteCompleteness:
    """What a site's records say of ethnicity; `site` is blank where no site is recorded."""

    site: str
    rows: int | None
    known: int | None
    declined: int | None
    not_asked: int | None
    blank: int | None
    not_national: int | None
    share_known: float | None


@dataclass(frozen=True)
class MissedSigns:
    """Missed appointments of one group, and the share with each sign of a wrong record."""

    grouping: str
    group: str
    missed: int | None
    little_notice: float | None
    moved: float | None
    too_late: float | None
    any_sign: float | None


@dataclass(frozen=True)
class TimeColumn:
    """Times of one column that may not be what the clinic meant.

    Attributes
    ----------
    filled
        Rows with a time.
    no_clock
        Rows at midnight, which is how a date without a clock time is read.
    skipped
        Rows in the hour that the clock skips in spring: read as an hour later.
    twice
        Rows in the hour that the clock shows twice in autumn: read as the later one, unless an offset was given.
    night
        Rows with a clock time from 22:00 to 05:59.
    """

    column: str
    filled: int | None
    no_clock: int | None
    skipped: int | None
    twice: int | None
    night: int | None


@dataclass(frozen=True)
class FactorAvailability:
    """An agreed factor: whether the extract can feed it, and which columns it lacks."""

    name: str
    title: str
    factor_class: str
    fed: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """A file that was joined to the extract, and how many rows found their match in it; exact."""

    name: str
    file: str
    matched: int
    unmatched: int
    without_key: int


@dataclass(frozen=True)
class Report:
    """The whole report.

    Attributes
    ----------
    rejected_share, limit
        Share of rows that are faulty, and the most that a training takes.
    usable
        Whether the extract keeps that limit, and no fault of its outcomes stops a training.
    labels
        Faults of the outcomes (`quality.label_checks`).
    columns
        Contract columns that the extract has.
    imd_release, areas, joined
        The release of the indices of deprivation, what the rows' LSOA codes were to its lookup, and
        the files that were joined; `entry` says it in sentences.
    suppress_below, round_to
        The rule for small numbers that was kept.
    words
        Words of the extract and the codes that they became, for a person to confirm.
    cells_not_known
        Optional cells that cannot be read; their rows are kept.
    """

    schema: int
    file: str
    synthetic: bool
    rows: int
    kept: int
    rejected_share: float
    limit: float
    usable: bool
    columns: tuple[str, ...]
    imd_release: str
    areas: Mapping[str, int]
    joined: tuple[Joined, ...]
    entry: tuple[str, ...]
    findings: tuple[QualityFinding, ...]
    labels: tuple[LabelFault, ...]
    rejections: tuple[RejectedRule, ...]
    completeness: tuple[Completeness, ...]
    codes_not_known: tuple[CodesNotKnown, ...]
    duplicates: Duplicates
    outcomes_by_month: tuple[MonthOutcomes, ...]
    ethnicity_by_site: tuple[SiteCompleteness, ...]
    missed_by_group: tuple[MissedSigns, ...]
    times: tuple[TimeColumn, ...]
    factors: tuple[FactorAvailability, ...]
    suppress_below: int
    round_to: int
    words: tuple[WordRead, ...] = ()
    cells_not_known: tuple[CellsNotKnown, ...] = ()
