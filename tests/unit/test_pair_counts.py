"""Sums of pairs of groups are those of the rows, whatever their order and however they are divided."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import World
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import LEAD, PLACE_GROUPINGS, grouping_named
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.pair_counting import count_pairs, half_by_code
from dnapredict.fairness.measure.pair_counts import BANDS, EVERYONE, MEASURES, PairCounts

SITE = PLACE_GROUPINGS[0]


def appointments(rows: int = 6_000, seed: int = 1) -> pa.Table:
    """A made-up world with sites and lead times."""
    random = np.random.default_rng(seed)
    table = World(appointments=rows, seed=seed, per_patient=3.0).table()
    return table.append_column("site_code", pa.array(random.choice(["S1", "S2", "S3"], rows))).append_column(
        "lead_days", pa.array(random.integers(0, 120, rows))
    )


TABLE = appointments()
COUNTED = count_pairs(AuditData.of(TABLE))


def frame(table: pa.Table = TABLE) -> pd.DataFrame:
    """What the sums are made of, row by row."""
    audited = AuditData.of(table)
    rows = table.select(["patient", "dna", "selected", "probability"]).to_pandas()
    found = pd.DataFrame(
        {
            "appointments": 1,
            "missed": rows["dna"].astype(int),
            "selected": rows["selected"].astype(int),
            "reached": (rows["dna"] & rows["selected"]).astype(int),
            "expected": rows["probability"],
            "variance": rows["probability"] * (1 - rows["probability"]),
            "half": half_by_code(rows["patient"].to_numpy()),
        }
    )
    residual = rows["dna"] - rows["probability"]
    found["clustered"] = residual * residual.groupby(rows["patient"]).transform("sum")
    for grouping in (*map(grouping_named, ("ethnicity", "sex", "core20", "age", "imd_decile")), SITE, LEAD):
        members = membership(audited, grouping)
        assert members is not None
        found[grouping.name] = np.array([group.code for group in members.groups])[members.index]
    return found


def same(first: PairCounts, second: PairCounts) -> bool:
    cubes = [(getattr(first, name), getattr(second, name)) for name in ("singles", "pairs", "overlaps")]
    return all(
        list(a) == list(b)
        and all(a[key].codes == b[key].codes and np.array_equal(a[key].sums, b[key].sums) for key in a)
        for a, b in cubes
    )


@pytest.mark.parametrize(("first", "second"), [("ethnicity", "age"), ("sex", "site"), ("site", "lead")])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_cell_is_the_sum_over_its_rows(first, second, measure):
    rows = frame()
    of_rows = rows.groupby([first, second, "half"])[measure].sum()
    sums = COUNTED.pair(first, second)[..., MEASURES.index(measure)].sum(axis=2)
    exact = measure not in ("expected", "variance", "clustered")
    for (one, other, half), expected in of_rows.items():
        found = sums[COUNTED.codes(first).index(one), COUNTED.codes(second).index(other), half]
        assert found == pytest.approx(expected, abs=1e-12 if exact else 1e-6 if measure != "clustered" else 0.05)
    assert sums.sum() == pytest.approx(rows[measure].sum(), rel=1e-3)


def test_the_matrix_holds_pairs_beside_the_diagonal():
    matrix, rows = COUNTED.matrix("missed"), frame()
    at = {column: place for place, column in enumerate(COUNTED.columns)}
    assert matrix[at["sex", "2"], at["sex", "2"]] == rows.loc[rows["sex"] == "2", "missed"].sum()
    assert matrix[at["sex", "1"], at["sex", "2"]] == 0
    both = (rows["sex"] == "2") & (rows["ethnicity"] == "A")
    assert matrix[at["sex", "2"], at["ethnicity", "A"]] == rows.loc[both, "missed"].sum()
    assert np.array_equal(matrix, matrix.T)
    halves = COUNTED.matrix("missed", half=0) + COUNTED.matrix("missed", half=1)
    assert np.array_equal(halves, matrix)


def test_the_overlap_of_three_groups_is_their_common_risk():
    rows, cube = frame(), COUNTED.overlaps["ethnicity", "sex", "site"]
    inside = (rows["ethnicity"] == "A") & (rows["sex"] == "2") & (rows["site"] == "S1")
    place = tuple(codes.index(code) for codes, code in zip(cube.codes, ("A", "2", "S1"), strict=True))
    assert cube.sums[(*place, 0)] / 1e9 == pytest.approx(rows.loc[inside, "expected"].sum(), abs=1e-6)


def test_clustered_variance_of_everyone_is_that_of_sums_of_patients():
    residual = TABLE["dna"].to_numpy().astype(float) - TABLE["probability"].to_numpy()
    of_patient = np.bincount(TABLE["patient"].to_numpy(), residual)
    assert COUNTED.total("clustered") == pytest.approx(float(of_patient @ of_patient), rel=1e-3)


def test_bands_divide_the_risks():
    single = COUNTED.single(EVERYONE)
    assert single.shape == (1, BANDS, 2, len(MEASURES))
    mean = single[0, :, :, MEASURES.index("expected")].sum(axis=1) / single[0, :, :, 0].sum(axis=1)
    assert (np.diff(mean) > 0).all()


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 1_000))
def test_order_of_rows_changes_no_sum(seed):
    order = np.random.default_rng(seed).permutation(TABLE.num_rows)
    assert same(count_pairs(AuditData.of(TABLE.take(order))), COUNTED)


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(2, 9), st.integers(0, 1_000))
def test_trusts_add_up_to_their_pooled_rows(trusts, seed):
    """Patients are divided, and a code that one trust lacks keeps its sums."""
    trust = np.random.default_rng(seed).integers(0, trusts, TABLE["patient"].to_numpy().max() + 1)
    of_row = trust[TABLE["patient"].to_numpy()]
    parts = [count_pairs(AuditData.of(TABLE.filter(pa.array(of_row == number)))) for number in range(trusts)]
    pooled = parts[0]
    for part in parts[1:]:
        pooled += part
    assert same(pooled, COUNTED)
    assert np.array_equal(pooled.clusters, COUNTED.clusters)


@pytest.mark.parametrize("column", ["gender_code", "site_code", "lead_days", "interpreter_needed"])
def test_a_grouping_that_one_trust_lacks_is_blank_there(column):
    half = pa.array(half_by_code(TABLE["patient"].to_numpy()) == 0)
    blank = pa.nulls(TABLE.num_rows, TABLE.schema.field(column).type)
    place = TABLE.schema.get_field_index(column)
    first, second = TABLE.filter(half), TABLE.filter(pa.compute.invert(half))
    rows = pa.concat_tables([first, TABLE.set_column(place, column, blank).filter(pa.compute.invert(half))])
    pooled = count_pairs(AuditData.of(first)) + count_pairs(AuditData.of(second.drop_columns([column])))
    expected = count_pairs(AuditData.of(rows))
    assert set(pooled.pairs) == set(expected.pairs)
    for key, cube in expected.pairs.items():
        assert cube.codes == pooled.pairs[key].codes
        assert np.array_equal(cube.sums, pooled.pairs[key].sums), key
    for key, cube in expected.overlaps.items():
        assert np.array_equal(cube.sums.sum(), pooled.overlaps[key].sums.sum()) or "sex" in key


def test_a_weighted_row_counts_as_often_as_its_weight():
    """As if it stood there that many times, but with the chance of one outcome."""
    weight = np.random.default_rng(1).choice([0.0, 1.0, 2.5], TABLE.num_rows)
    found = count_pairs(AuditData.of(TABLE).with_weights(weight))
    missed, risk = TABLE["dna"].to_numpy(), TABLE["probability"].to_numpy()
    women = TABLE["gender_code"].to_numpy() == "2"
    at = found.columns.index(("sex", "2"))
    assert found.matrix("missed")[at, at] == weight[missed & women].sum()
    assert found.total("expected") == pytest.approx((weight * risk).sum(), abs=1e-6)
    assert found.total("variance") == pytest.approx((weight**2 * risk * (1 - risk)).sum(), abs=1e-6)
    assert same(count_pairs(AuditData.of(TABLE).with_weights(np.ones(TABLE.num_rows))), COUNTED)


def test_every_pair_of_groupings_is_there():
    assert set(COUNTED.pairs) == set(itertools.combinations(COUNTED.groupings, 2))
