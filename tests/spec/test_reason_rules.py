"""Which reasons a clerk reads, and which never: a specification for booking teams and the groups that agree on factors.

The model of the table adds these amounts to the log odds of missing, each measured from what is usual:
0.02 for each day of lead time above 20; 0.4 for each past miss above 1; 1.0 for the share of past appointments missed
above 0.2; 0.1 for each kilometre above 5; 0.5 for each move above 1; and 0.05 for each year of age below 40. Past misses
and their share say the same thing. A blank cell is a value that is not known, which adds 0.6 here.
"""

import numpy as np
import pytest

from dnapredict.config.factor_register import FactorRegister
from dnapredict.model.reasons import reasons
from dnapredict.model.risk_model import Platt, RiskModel, Spline, SplineLogistic

# name: slope, usual value, class, sentence, what it says
FACTORS = {
    "lead_days": (0.02, 20, "operational", "Booked {value} days ahead", ""),
    "missed": (0.4, 1, "attendance history", "Missed {value} of {past} past appointments", "missed before"),
    "missed_share": (1.0, 0.2, "attendance history", "Missed {value:.0%} of past appointments", "missed before"),
    "past": (0.0, 0, "attendance history", "", ""),
    "distance_km": (0.1, 5, "geographic", "Lives {value} km away", ""),
    "moved": (0.5, 1, "operational", "Moved {value} times", ""),
    "age_years": (-0.05, 40, "personal", "Is {value} years old", ""),
}

ROWS = """
    lead_days | missed | missed_share | past | distance_km | moved | age_years | the reasons that are shown
    20        | 1      | 0.2          | 5    | 5           | 1     | 40        |
    60        | 1      | 0.2          | 5    | 5           | 1     | 40        | Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 5           | 1     | 40        | Missed 4 of 5 past appointments; Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 12          | 3     | 40        | Missed 4 of 5 past appointments; Moved 3 times; Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 25          | 3     | 40        | Lives 25 km away; Missed 4 of 5 past appointments; Moved 3 times
    5         | 1      | 0.2          | 5    | 12          | 1     | 40        | Lives 12 km away
    20        | 0      | 0.0          | 5    | 5           | 0     | 40        |
    20        | 1      | 0.2          | 5    | 5           | 1     | 19        |
    60        | 1      | 0.2          | 5    | 5           | 1     | 19        | Booked 60 days ahead
              | 1      | 0.2          | 5    | 5           | 1     | 40        |
    20        |        |              |      | 12          | 1     | 40        | Lives 12 km away
    20        | 4      | 0.8          |      | 5           | 1     | 40        | Missed 80% of past appointments
    20        | 1      | 0.2          | 5    | 7.26        | 1     | 40        | Lives 7.3 km away
"""
WHY = """
    nothing is unusual
    one thing is, and the sentence has the patient's own number
    the strongest comes first; two factors that say the same are one reason
    three at most: the fourth, 12 km, is left out
    the three that raise the risk most
    what lowers the risk is no reason
    a reason is never "0 times"
    age raises the risk here and is never shown: a personal factor
    nor in place of another
    a value that is not known raises the risk here and cannot be told
    nor one of which a part is not known
    then the other sentence with that meaning is used, if it is known
    a number that is not whole has one decimal
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def spline(slope: float, usual: float) -> Spline:
    return Spline(knots=(0.0, 1_000.0), values=(0.0, 1_000 * slope), missing=0.6 + slope * usual, usual=slope * usual)


MODEL = RiskModel(
    tuple(FACTORS),
    SplineLogistic(-2.0, tuple(spline(slope, usual) for slope, usual, *_ in FACTORS.values())),
    Platt(),
)
REGISTER = FactorRegister.model_validate(
    {
        "version": "spec",
        "factors": [
            {
                "name": name,
                "title": name,
                "class": kind,
                "columns": ["starts_at"],
                "why": "A specification.",
                "agreed_by": "A group",
                "agreed_on": "2026-01-01",
                "reason": sentence,
                "says": meaning,
            }
            for name, (_, _, kind, sentence, meaning) in FACTORS.items()
        ],
    }
)


@pytest.mark.parametrize(
    ("row", "why"), list(zip(lines(ROWS)[1:], (line for (line,) in lines(WHY)), strict=True)), ids=lambda x: str(x)[:60]
)
def test_a_reason_raises_the_risk_is_true_of_the_patient_and_is_not_about_who_they_are(row: list[str], why: str):
    *cells, expected = row
    matrix = np.array([[float(cell) if cell else np.nan for cell in cells]])
    shown = [reason.text for reason in reasons(MODEL, matrix, register=REGISTER)[0]]
    assert "; ".join(shown) == expected, why
