"""Who is named by the search for harm, in made-up services whose fault is known. One seed of each; the error rates
over many are in docs/results.md (`python -m benchmarks.harm_search`)."""

import pytest
from benchmarks.planted_worlds import PlantedWorld

from dnapredict.fairness.compare.harm_search import search_harms
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.pair_counting import count_pairs

NAMED = """
    what is wrong            | who is named                               | how
    fair                     |                                            |
    fair with unequal need   |                                            |
    uniform drift            |                                            |
    lower need               |                                            |
    mix of clinics           |                                            |
    under-scored             | ethnicity J                                | under-scored
    over-65s under-scored    | age 65-79, age 80 and over                 | under-scored
    disabled under-scored    | disability yes                             | under-scored
    one site                 | site RXA03                                 | under-scored
    one group at one site    | ethnicity J + site RXA01                   | under-scored
    one intersection         | ethnicity J + sex 2 + core20 core20        | under-scored
    not asked cut from calls | ethnicity 99                               | fewer calls than its risks would give
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in NAMED.strip().splitlines()[1:]]


@pytest.mark.parametrize(("planted", "named", "how"), ROWS, ids=[row[0] for row in ROWS])
def test_who_is_named(planted, named, how):
    found = search_harms(count_pairs(AuditData.of(PlantedWorld(planted, seed=4).table())))
    names = [" + ".join(f"{grouping} {code}" for grouping, code in one.path) for one in found]
    assert ", ".join(sorted(names)) == named
    assert {one.harm.value for one in found} == ({how} if how else set())
    for one in found:
        interval = one.interval(1.96)
        assert interval is not None
        # Planted: log odds 0.8 too low, about 1.9 missed for each expected; 7 of 10 never called.
        assert interval.low <= (0.3 if how.startswith("fewer") else 1.9) + 0.1
        assert interval.high >= (0.3 if how.startswith("fewer") else 1.9) - 0.1
