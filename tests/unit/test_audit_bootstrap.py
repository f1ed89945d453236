"""The closed-form interval agrees with a bootstrap over patients."""

import numpy as np
import pytest
from benchmarks.audit_worlds import World
from benchmarks.profile_bootstrap import reach_profiles, reach_replicates

from dnapredict.fairness import AuditData
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups


def test_the_bootstrap_agrees_with_the_closed_form():
    world = AuditData.of(World(appointments=60_000, per_patient=8.0, spread=2.0).table())
    members = membership(world, grouping_named("core20"))
    assert members is not None
    counted = count_groups(world, members)
    for place in (0, 1):
        reach = rate(counted.counts[place], "reach")
        found = reach.interval(1.959964)
        assert found is not None
        drawn = reach_replicates(*reach_profiles(world, members, place), replicates=2_000, seed=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert reach.design_effect > 1.05
        assert drawn.mean() == pytest.approx(found.value, abs=0.003)
        assert low == pytest.approx(found.low, abs=0.006)
        assert high == pytest.approx(found.high, abs=0.006)
