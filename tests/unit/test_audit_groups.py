"""Nobody is dropped: each row is in exactly one group, and the kinds of "unknown" are kept apart."""

import pyarrow as pa
import pytest
from benchmarks.audit_worlds import World

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import GROUPINGS, grouping_named
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups


def audited(**columns: list[object]) -> AuditData:
    size = len(next(iter(columns.values())))
    needed = {
        "patient": list(range(size)),
        "dna": [True] * size,
        "probability": [0.5] * size,
        "selected": [True] * size,
        "starts_at": [0] * size,
    }
    return AuditData.of(pa.table(needed | columns))


def codes(name: str, **columns: list[object]) -> list[str]:
    found = membership(audited(**columns), grouping_named(name))
    assert found is not None
    return [found.groups[place].code for place in found.index]


def test_declined_not_asked_and_blank_are_three_groups():
    raw = ["Z", "99", None, "", "X", "A", "j1", "7"]
    assert codes("ethnicity", ethnic_category_code=raw) == [
        "Z", "99", "blank", "blank", "99", "A", "J", "invalid",
    ]  # fmt: skip


def test_five_groups_keep_the_unknown_apart():
    raw = ["A", "D", "K", "N", "R", "S", "Z", "99", None]
    assert codes("ethnicity_5", ethnic_category_code=raw) == [
        "white", "mixed", "asian", "black", "other", "other", "Z", "99", "blank",
    ]  # fmt: skip


def test_no_decile_is_a_group_and_not_part_of_the_rest():
    deciles = [1, 2, 3, 10, None, 0, 11]
    assert codes("core20", imd_decile=deciles) == ["core20", "core20", "rest", "rest", "none", "none", "none"]
    assert codes("imd_decile", imd_decile=deciles) == ["1", "2", "3", "10", "none", "none", "none"]


def test_an_age_that_is_not_a_number_is_not_recorded():
    assert codes("age", age_years=[0.0, 15.9, 16.0, 80.0, float("nan"), None]) == [
        "0-15", "0-15", "16-24", "80 and over", "unknown", "unknown",
    ]  # fmt: skip


def test_local_plus_groups_are_taken_from_the_data():
    found = membership(audited(plus_group=["Homeless", "", None, "Coastal"]), grouping_named("plus"))
    assert found is not None
    assert [group.name for group in found.groups] == ["Coastal", "Homeless", "In no PLUS group"]
    assert list(found.index) == [1, 2, 2, 0]


def test_a_column_that_is_absent_or_all_blank_gives_no_grouping():
    assert membership(audited(gender_code=["1"]), grouping_named("core20")) is None
    assert membership(audited(imd_decile=pa.nulls(2, pa.int64())), grouping_named("core20")) is None


@pytest.mark.parametrize("grouping", GROUPINGS, ids=lambda grouping: grouping.name)
def test_groups_add_up_to_everyone(grouping):
    appointments = AuditData.of(World(appointments=5_000).table())
    members = membership(appointments, grouping)
    if members is not None:
        counted = count_groups(appointments, members)
        assert counted.total.appointments == len(appointments)
        assert counted.total.missed == sum(appointments.table["dna"].to_pylist())


def test_a_disability_that_is_denied_or_was_not_asked_about_is_none():
    words = [
        "No disability",
        "none known",
        "Nil",
        "Not asked",
        "Prefer not to say",
        "no answer",
        "N/K",
        "Hearing",
    ]
    assert codes("disability", disability_flag=words) == [
        "no", "no", "no", "unknown", "unknown", "unknown", "unknown", "yes",
    ]  # fmt: skip
