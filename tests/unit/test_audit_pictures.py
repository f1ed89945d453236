"""What is drawn beyond the tables: curves, months and crossed groups."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, run
from dnapredict.fairness.publish.chart_data import ChartData

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)


def pictures(table: pa.Table) -> ChartData:
    return run(AuditData.of(table), policy=POLICY, context=CONTEXT).chart_data


@pytest.fixture(scope="module")
def drawn() -> ChartData:
    return pictures(World(appointments=60_000).table())


def test_reach_grows_with_the_length_of_the_list(drawn: ChartData):
    for curve in drawn.capacity:
        reach = [point.y.value for point in curve.points if point.y]
        assert reach == sorted(reach)
        assert len(reach) > 5


def test_in_a_fair_world_a_risk_is_what_happens(drawn: ChartData):
    core20 = next(curve for curve in drawn.calibration if curve.group.startswith("Most deprived"))
    assert [point.x for point in core20.points] == sorted(point.x for point in core20.points)
    assert all(point.y is not None and abs(point.x - point.y.value) < 0.02 for point in core20.points)


def test_a_fair_year_gives_no_signal(drawn: ChartData):
    chart = next(chart for chart in drawn.months if chart.group.startswith("Most deprived"))
    assert [month.name for month in chart.months] == [f"2025-{number:02d}" for number in range(1, 13)]
    assert chart.signal == "Months differ no more than chance makes them."


def test_a_month_in_which_nobody_was_called_is_seen():
    table = World(appointments=60_000).table()
    march = pc.equal(pc.month(table["starts_at"]), 3)
    selected = pc.and_(table["selected"], pc.invert(march))
    place = table.column_names.index("selected")
    charts = pictures(table.set_column(place, "selected", selected)).months
    assert "1 of 12 months is outside the limits" in charts[0].signal


def test_a_thin_cell_leans_on_the_mean(drawn: ChartData):
    assert len(drawn.cells) == 25
    values = [(cell.reach.value, cell.shrunk) for cell in drawn.cells if cell.reach and cell.shrunk is not None]
    raw, shrunk = np.array(values).T
    assert shrunk.std() < raw.std()


def test_a_small_cell_is_hidden_with_its_range():
    drawn = pictures(World(appointments=2_000).table())
    hidden = [cell for cell in drawn.cells if cell.missed is None]
    assert hidden
    assert all(cell.reach is None and cell.shrunk is None for cell in hidden)
