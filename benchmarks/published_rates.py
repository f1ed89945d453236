"""Published figures that the standard world must reproduce, and the same figures of a simulated file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from dnapredict.synthetic.calendar import AS_OF

_MIX: Final = "NHS England, Hospital Outpatient Activity 2023-24, as quoted by medscheduler 1.0.0"
_SEEN: Final = "NHS England, Hospital Outpatient Activity 2024-25"
_MODE: Final = "Kerr et al. 2023 (Imperial), rate over its overall 0.103"
_SPECIALTY: Final = "Philpott-Morgan et al. 2021 (Imperial), rate over its overall 0.112"
_AGAIN: Final = "HSCIC 2014 (England 2013), of patients with a DNA, next 3 months"
_UPLIFT: Final = "NHS England, quoted 2024: comparator not stated, read by us as decile 1 over decile 10"


@dataclass(frozen=True)
class PublishedFigure:
    """One published figure.

    Attributes
    ----------
    target, tolerance
        As published, and how far a file of 400,000 appointments may lie from it. The tolerance holds
        the chance of a draw and, where two publications cannot both be met, our compromise.
    sql
        A scalar over the views `past` (appointments with an outcome), `came` (attended or missed),
        `attended`, `everything` and `again` (a row for each patient and month with a DNA).
    """

    name: str
    target: float
    tolerance: float
    source: str
    sql: str


def _over_all(where: str) -> str:
    return f"SELECT (SELECT avg(dna) FROM came WHERE {where}) / (SELECT avg(dna) FROM came)"


def _share(where: str, of: str = "true") -> str:
    return f"SELECT avg(({where})::INT) FROM attended WHERE {of}"


def _code(*codes: str) -> str:
    return "outcome_code IN (" + ", ".join(f"'{code}'" for code in codes) + ")"


_REMOTE: Final = "first_attendance_code IN ('3', '4')"
_ETHNICITY: Final = "coalesce(ethnic_category_code, '') IN "
_GRADIENT: Final = """
    SELECT exp(-9 * regr_slope(ln(rate), imd_decile)) FROM (
        SELECT imd_decile, avg(dna) AS rate FROM came WHERE imd_decile IS NOT NULL GROUP BY imd_decile)
"""
FIGURES: Final = (
    PublishedFigure("attended", 0.773, 0.01, _MIX, f"SELECT avg(({_code('5', '6')})::INT) FROM past"),
    PublishedFigure("cancelled", 0.164, 0.01, _MIX, f"SELECT avg(({_code('2', '4')})::INT) FROM past"),
    PublishedFigure("missed", 0.059, 0.005, _MIX, f"SELECT avg(({_code('3', '7')})::INT) FROM past"),
    PublishedFigure("outcome not known", 0.004, 0.001, _MIX, f"SELECT avg(({_code('0')})::INT) FROM past"),
    PublishedFigure("missed, decile 1 over decile 10, fitted line", 1.48, 0.15, _UPLIFT, _GRADIENT),
    PublishedFigure("missed, first face to face", 0.893, 0.06, _MODE, _over_all("first_attendance_code = '1'")),
    PublishedFigure("missed, first remote", 1.214, 0.12, _MODE, _over_all("first_attendance_code = '3'")),
    PublishedFigure("missed, follow-up face to face", 1.039, 0.05, _MODE, _over_all("first_attendance_code = '2'")),
    PublishedFigure("missed, follow-up remote", 1.010, 0.09, _MODE, _over_all("first_attendance_code = '4'")),
    PublishedFigure("missed, hepatology", 1.518, 0.3, _SPECIALTY, _over_all("treatment_function_code = '306'")),
    PublishedFigure("missed, medical oncology", 0.536, 0.12, _SPECIALTY, _over_all("treatment_function_code = '370'")),
    PublishedFigure("one more DNA", 0.162, 0.015, _AGAIN, "SELECT avg((more = 1)::INT) FROM again"),
    PublishedFigure("two more DNAs", 0.039, 0.01, _AGAIN, "SELECT avg((more = 2)::INT) FROM again"),
    PublishedFigure("three or more", 0.019, 0.008, _AGAIN, "SELECT avg((more >= 3)::INT) FROM again"),
    PublishedFigure("attended again", 0.535, 0.045, _AGAIN, "SELECT avg((seen > 0)::INT) FROM again"),
    PublishedFigure(
        "appointments a patient",
        4.61,
        0.1,
        "Kerr et al. 2023 (Imperial)",
        "SELECT count(*) / count(DISTINCT patient_id) FROM everything",
    ),
    PublishedFigure("first, of attendances", 0.33, 0.02, _SEEN, _share("first_attendance_code IN ('1', '3')")),
    PublishedFigure("remote, of attendances", 0.1745, 0.01, _SEEN, _share(_REMOTE)),
    PublishedFigure("remote, decile 1", 0.164, 0.015, _SEEN, _share(_REMOTE, "imd_decile = 1")),
    PublishedFigure("remote, decile 5", 0.177, 0.015, _SEEN, _share(_REMOTE, "imd_decile = 5")),
    PublishedFigure("remote, decile 10", 0.179, 0.015, _SEEN, _share(_REMOTE, "imd_decile = 10")),
    PublishedFigure("White", 0.650, 0.02, _SEEN, _share(_ETHNICITY + "('A', 'B', 'C')")),
    PublishedFigure("Mixed", 0.016, 0.004, _SEEN, _share(_ETHNICITY + "('D', 'E', 'F', 'G')")),
    PublishedFigure("Asian", 0.073, 0.01, _SEEN, _share(_ETHNICITY + "('H', 'J', 'K', 'L')")),
    PublishedFigure("Black", 0.039, 0.008, _SEEN, _share(_ETHNICITY + "('M', 'N', 'P')")),
    PublishedFigure("Other", 0.029, 0.006, _SEEN, _share(_ETHNICITY + "('R', 'S')")),
    PublishedFigure("ethnicity not stated or not known", 0.192, 0.015, _SEEN, _share(_ETHNICITY + "('', 'Z', '99')")),
)

_VIEWS: Final = f"""
    CREATE VIEW past AS SELECT * FROM everything WHERE outcome_code IS NOT NULL;
    CREATE VIEW came AS SELECT *, ({_code("3", "7")})::INT AS dna FROM past WHERE {_code("3", "5", "6", "7")};
    CREATE VIEW attended AS SELECT * FROM came WHERE dna = 0;
    CREATE TABLE again AS
        WITH first_of_month AS (
            SELECT patient_id, min(starts_at) AS missed_at FROM came
            WHERE dna = 1 AND starts_at < TIMESTAMP '{AS_OF}' - INTERVAL 91 DAY
            GROUP BY patient_id, date_trunc('month', starts_at))
        SELECT count(*) FILTER (dna = 1) AS more, count(*) FILTER (dna = 0) AS seen
        FROM first_of_month LEFT JOIN came
            ON came.patient_id = first_of_month.patient_id
            AND came.starts_at > missed_at AND came.starts_at <= missed_at + INTERVAL 91 DAY
        GROUP BY first_of_month.patient_id, missed_at;
"""


def measure(path: Path) -> dict[str, float]:
    """Each of `FIGURES` in the simulated file `path`, by name."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.read_parquet(str(path)).create_view("everything")
        connection.execute(_VIEWS)
        return {figure.name: float(_scalar(connection, figure.sql)) for figure in FIGURES}


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    row = connection.execute(sql).fetchone()
    return float("nan") if row is None or row[0] is None else row[0]
