"""What weekly calls reach and earn: examples to work out by hand.

For whoever plans calls. A list calls the highest risks of each week, Monday to Sunday by the clinic's clock.
"""

import datetime

import numpy as np
import pytest

from dnapredict.config.training_config import Worth
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.capacity_metrics import (
    WeeklyCapacity,
    net_benefit,
    net_benefit_curve,
    reach_by_week,
    total_reach,
)


def lines(text: str) -> list[list[str]]:
    """The cells of a table below its header."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()[1:]]


CAPACITY = """
    share | number | appointments | calls
    0.10  |        | 256          | 26
    0.10  |        | 4            | 1
    0.05  |        | 300          | 15
    0.10  | 60     | 256          | 60
    0.10  | 60     | 20           | 20
"""


@pytest.mark.parametrize(("share", "number", "appointments", "calls"), lines(CAPACITY))
def test_a_week_has_a_share_of_its_appointments_as_calls_or_a_number(share, number, appointments, calls):
    capacity = WeeklyCapacity(float(share), int(number) if number else None)
    assert capacity.of(int(appointments)) == int(calls)


# Two weeks; half of the appointments of each are called. 2 and 3 March 2025 are a Sunday and a Monday.
APPOINTMENTS = """
    starts_at        | risk | missed
    2025-02-27 09:00 | 0.60 | yes
    2025-02-28 09:00 | 0.50 | no
    2025-03-01 09:00 | 0.40 | yes
    2025-03-02 23:50 | 0.30 | no
    2025-03-03 00:10 | 0.20 | yes
    2025-03-04 09:00 | 0.10 | no
"""
WEEKS = """
    monday     | appointments | missed | called | reached | reach | ppv
    2025-02-24 | 4            | 2      | 2      | 1       | 0.50  | 0.50
    2025-03-03 | 2            | 1      | 1      | 1       | 1.00  | 1.00
"""


def cohort() -> tuple[Cohort, np.ndarray]:
    """The appointments of the table, and their risks."""
    rows = lines(APPOINTMENTS)
    n = len(rows)
    starts = np.array([np.datetime64(at.replace(" ", "T"), "us") for at, _, _ in rows])
    arrays = Cohort(
        factors=(),
        matrix=np.empty((n, 0)),
        dna=np.array([missed == "yes" for _, _, missed in rows]),
        patient=np.arange(n),
        starts_at=starts,
        lead_days=np.full(n, 10),
        first_time=np.full(n, True),
    )
    return arrays, np.array([float(risk) for _, risk, _ in rows])


def test_each_week_has_its_own_list():
    found = reach_by_week(*cohort(), calls=WeeklyCapacity(0.5))
    told = [
        [str(w.monday), str(w.n), str(w.missed), str(w.called), str(w.reached), f"{w.reach:.2f}", f"{w.ppv:.2f}"]
        for w in found
    ]
    assert told == lines(WEEKS)


def test_reach_over_all_weeks_is_of_all_missed_and_not_a_mean_of_weeks():
    total = total_reach(reach_by_week(*cohort(), calls=WeeklyCapacity(0.5)))
    assert total.reach == pytest.approx(2 / 3)  # 1 of 2 and 1 of 1
    assert total.ppv == pytest.approx(2 / 3)
    assert total.blind == pytest.approx(3 / 6)


def test_a_week_without_a_missed_appointment_has_no_reach_and_calls_none_the_less():
    appointments, risk = cohort()
    first = appointments.take(np.arange(6) == 5)
    (week,) = reach_by_week(first, risk[5:], calls=WeeklyCapacity(0.5))
    assert (week.monday, week.reach, week.ppv) == (datetime.date(2025, 3, 3), None, 0.0)
    with pytest.raises(NoEventsError, match="nobody missed"):
        total_reach([week])


# Four appointments with risks 0.9, 0.8, 0.2, 0.1. A call costs 3 pounds, a kept appointment is worth 120, and of
# the missed appointments that are called 61 in 100 are missed all the same, so that each saves 46.80 pounds.
NET_BENEFIT = """
    missed         | calls | reached | pounds for each appointment
    yes no  no no  | 1     | 1       | 10.95
    yes no  no no  | 4     | 1       | 8.70
    no  yes no no  | 1     | 0       | -0.75
    no  no  no no  | 2     | 0       | -1.50
    yes yes no yes | 2     | 2       | 21.90
"""
WORTH = Worth(call_cost=3, slot_value=120, relative_risk=0.61)
RISK = np.array([0.9, 0.8, 0.2, 0.1])


@pytest.mark.parametrize(("missed", "calls", "reached", "pounds"), lines(NET_BENEFIT))
def test_calls_earn_what_they_save_less_what_they_cost(missed, calls, reached, pounds):
    dna = np.array([each == "yes" for each in missed.split()])
    found = net_benefit(dna, RISK, capacity=int(calls), worth=WORTH)
    assert found == pytest.approx(float(pounds))
    assert found == pytest.approx((int(reached) * 46.8 - int(calls) * 3) / 4)


def test_at_the_end_of_the_curve_everybody_is_called_and_ranking_gains_nothing():
    dna = np.array([True, False, False, True] * 50)
    curve = net_benefit_curve(dna, np.tile(RISK, 50), worth=WORTH)
    assert (curve[0].share, curve[-1].share) == (0.01, 1.0)
    assert curve[-1].pounds == pytest.approx(curve[-1].blind)
