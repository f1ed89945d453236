"""A linear program that is solved for many objectives, each from the previous solution (a warm start).

Between two solves only the objective and a few bounds change, so most need few iterations. `scipy.optimize.linprog`
has no warm start and takes four times as long for the programs of an audit. HiGHS, the solver behind it, can continue
from a basis: SciPy's own binding of HiGHS is used for that, and `linprog` if a release of SciPy has no binding.
"""

import importlib
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

_TOLERANCE: Final = 1e-6
_BINDING: Final = "scipy.optimize._highspy._core"
_SOLVER: Final = "_Highs"
_LINPROG_INFEASIBLE: Final = 2
Floats = NDArray[np.float64]


class Solution(NamedTuple):
    """Values of the unknowns, and whether the bounds of each limit the objective (a dual value is not 0)."""

    values: Floats
    bounding: NDArray[np.bool_]


class LinearProgram:
    """Unknowns with bounds, rows whose weighted sum is 0 and rows whose weighted sum is at most 0."""

    def __init__(self, equal: csr_array, at_most: csr_array, low: Floats, high: Floats) -> None:
        """`equal` and `at_most` are (rows, unknowns); `low` and `high` are finite."""
        self._equal, self._at_most = equal, at_most
        self._low, self._high = low.copy(), high.copy()
        self._highs: Any | None = None
        self._moved: set[int] = set()
        core = _binding()
        if core is not None and len(low):
            self._highs = self._loaded(core)
            self._core = core
            self._columns = np.arange(len(low), dtype=np.int32)

    def set_limits(self, place: int, low: float, high: float) -> None:
        """Change the bounds of an unknown."""
        self._low[place], self._high[place] = low, high
        self._moved.add(place)

    def minimise(self, aim: Floats) -> Solution | None:
        """A solution that minimises the weighted sum `aim`; None if the bounds and rows are infeasible."""
        return self._by_linprog(aim) if self._highs is None else self._by_highs(aim)

    def _loaded(self, core: Any) -> Any:
        rows = vstack([self._equal, self._at_most]).tocsc()
        model = core.HighsLp()
        model.num_row_, model.num_col_ = rows.shape
        model.col_cost_ = np.zeros(len(self._low))
        model.col_lower_, model.col_upper_ = self._low.copy(), self._high.copy()
        model.row_lower_ = np.repeat([0.0, -np.inf], [self._equal.shape[0], self._at_most.shape[0]])
        model.row_upper_ = np.zeros(rows.shape[0])
        model.a_matrix_.format_ = core.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
        highs = getattr(core, _SOLVER)()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.passModel(model)
        return highs

    def _by_highs(self, aim: Floats) -> Solution | None:
        highs, status = self._highs, self._core.HighsModelStatus
        assert highs is not None  # noqa: S101 - `minimise` asks
        if self._moved:
            places = np.array(sorted(self._moved), dtype=np.int32)
            highs.changeColsBounds(len(places), places, self._low[places], self._high[places])
            self._moved.clear()
        highs.changeColsCost(len(self._columns), self._columns, aim)
        highs.run()
        if highs.getModelStatus() == status.kInfeasible:
            return None
        if highs.getModelStatus() != status.kOptimal:
            highs.clearSolver()
            return self._by_linprog(aim)  # the last basis led nowhere
        found = highs.getSolution()
        return Solution(np.array(found.col_value), np.abs(np.array(found.col_dual)) > _TOLERANCE)

    def _by_linprog(self, aim: Floats) -> Solution | None:
        found = linprog(
            aim,
            A_ub=self._at_most if self._at_most.shape[0] else None,
            b_ub=np.zeros(self._at_most.shape[0]) if self._at_most.shape[0] else None,
            A_eq=self._equal if self._equal.shape[0] else None,
            b_eq=np.zeros(self._equal.shape[0]) if self._equal.shape[0] else None,
            bounds=np.column_stack([self._low, self._high]),
            method="highs",
        )
        if found.status == _LINPROG_INFEASIBLE or found.x is None:
            return None
        marginals = np.maximum(np.abs(found.lower.marginals), np.abs(found.upper.marginals))
        return Solution(np.asarray(found.x), marginals > _TOLERANCE)


def _binding() -> Any | None:
    """SciPy's binding of HiGHS, None where this release has none."""
    try:
        return importlib.import_module(_BINDING)
    except ImportError:
        return None
