"""The reasons of a model row by row, as a clerk reads them, for the tests of several subjects."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.factor_register import FactorRegister
from dnapredict.model.reasons import Explainer, UsualRange
from dnapredict.model.risk_model import RiskModel


class Reason(NamedTuple):
    """One reason: its factor, and a sentence with the patient's own numbers."""

    factor: str
    text: str


def reasons(
    model: RiskModel,
    matrix: NDArray[np.float64],
    *,
    register: FactorRegister,
    usual: UsualRange | None = None,
) -> list[tuple[Reason, ...]]:
    """At most three reasons for each row, the strongest first: the result of `Explainer.explain` by row."""
    columns = Explainer.of(model, register, usual).explain(matrix)
    rows = zip(zip(*columns.factors, strict=True), zip(*columns.texts, strict=True), strict=True)
    return [
        tuple(Reason(factor, text) for factor, text in zip(*row, strict=True) if factor is not None) for row in rows
    ]
