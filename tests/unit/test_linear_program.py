"""Programs solved one after another give what SciPy's `linprog` gives for each by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array

from dnapredict.fairness.disclosure import linear_program
from dnapredict.fairness.disclosure.linear_program import LinearProgram

UNKNOWNS = 6
small = st.integers(-3, 3)
weights = st.lists(small, min_size=UNKNOWNS, max_size=UNKNOWNS)


def rows(lines: list[list[int]]) -> csr_array:
    return csr_array(np.array(lines, dtype=float).reshape(-1, UNKNOWNS))


@given(
    st.lists(weights, max_size=3),
    st.lists(weights, max_size=3),
    st.lists(st.tuples(weights, st.integers(0, UNKNOWNS - 1), st.integers(-2, 2)), min_size=1, max_size=6),
)
def test_each_of_several_objectives_has_its_least_value(
    equal: list[list[int]], at_most: list[list[int]], steps: list[tuple[list[int], int, int]]
):
    low, high = np.full(UNKNOWNS, -5.0), np.full(UNKNOWNS, 5.0)
    program = LinearProgram(rows(equal), rows(at_most), low, high)
    for aim, place, lowest in steps:
        low[place] = lowest
        program.set_limits(place, lowest, 5.0)
        found = program.minimise(np.array(aim, dtype=float))
        alone = linprog(
            aim,
            A_ub=np.array(at_most) if at_most else None,
            b_ub=np.zeros(len(at_most)) if at_most else None,
            A_eq=np.array(equal) if equal else None,
            b_eq=np.zeros(len(equal)) if equal else None,
            bounds=np.column_stack([low, high]),
        )
        assert (found is None) == (alone.status == 2)
        if found is not None:
            assert found.values @ aim == pytest.approx(alone.fun, abs=1e-6)
            assert (found.values >= low - 1e-6).all()
            assert (found.values <= high + 1e-6).all()


def test_without_scipys_binding_of_the_solver_the_answers_are_the_same(monkeypatch):
    """The sum of two is at most a third, which is 4 at most: the first is 4 where the third is 4 and the second 0."""
    programs = []
    for binding in (linear_program._binding(), None):
        monkeypatch.setattr(linear_program, "_binding", lambda binding=binding: binding)
        programs.append(
            LinearProgram(csr_array((0, 3)), csr_array([[1.0, 1.0, -1.0]]), np.zeros(3), np.array([9.0, 9.0, 4.0]))
        )
    assert [program._highs is None for program in programs] == [False, True]
    for program in programs:
        found = program.minimise(np.array([-1.0, 0.0, 0.0]))
        assert found is not None
        assert found.values[0] == pytest.approx(4)
        assert found.bounding.tolist() == [False, True, True]
        program.set_limits(2, 0, 0)
        assert program.minimise(np.array([-1.0, 0.0, 0.0])).values[0] == pytest.approx(0)
        program.set_limits(0, 1, 9)
        assert program.minimise(np.array([-1.0, 0.0, 0.0])) is None
