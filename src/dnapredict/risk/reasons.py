"""Why this patient's risk is raised: exact SHAP values, put into the register's words.

A reason is "linked with" a missed appointment; nothing here says "because".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.register import Factor, FactorClass, FactorRegister
from dnapredict.risk.model import RiskModel

__all__ = ["Reason", "contributions", "reasons"]

_MOST = 3


@dataclass(frozen=True)
class Reason:
    """One reason: the factor that speaks, and a sentence with the patient's own numbers."""

    factor: str
    text: str


def contributions(model: RiskModel, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each factor adds to each row's margin, in log odds before calibration: (n, p).

    Exact SHAP values: a row's values and the model's expected margin add up to the row's margin.
    """
    return model.contributions(matrix)


def reasons(
    model: RiskModel, matrix: NDArray[np.float64], *, register: FactorRegister
) -> list[tuple[Reason, ...]]:
    """At most three reasons for each row, the strongest first.

    Factors that say the same are added up into one reason, told by the one that adds most. Only what
    raises the risk is told, only with a sentence from the register that is true of the patient,
    and never a personal factor such as age.
    """
    topics = _topics([register.factor(name) for name in model.factors])
    if not topics:
        return [()] * len(matrix)
    values = contributions(model, matrix)
    weights = np.column_stack([values[:, topic.members].sum(axis=1) for topic in topics])
    ranked = np.argsort(-weights, axis=1, kind="stable")
    tellers = [_teller(topic, model.factors) for topic in topics]
    return [
        _told(ranked[row], weights[row], tellers=tellers, row=matrix[row], values=values[row])
        for row in range(len(matrix))
    ]


@dataclass(frozen=True)
class _Topic:
    """Factors that say one thing, by their columns."""

    members: list[int]
    factors: list[Factor]


@dataclass(frozen=True)
class _Sentence:
    """A factor's sentence, the column of the factor and those of the numbers it quotes."""

    factor: str
    text: str
    column: int
    quoted: dict[str, int]

    def is_true_of(self, row: NDArray[np.float64]) -> bool:
        """Whether it speaks of something known and present: "Moved 0 times" is no reason."""
        spoken = row[[self.column, *self.quoted.values()]]
        return not (np.isnan(spoken) | (spoken == 0)).any()

    def filled(self, row: NDArray[np.float64]) -> Reason:
        """The sentence with the patient's own numbers."""
        return Reason(self.factor, self.text.format_map({k: _number(row[v]) for k, v in self.quoted.items()}))


def _topics(factors: Sequence[Factor]) -> list[_Topic]:
    found: dict[str, _Topic] = {}
    for column, factor in enumerate(factors):
        if factor.factor_class is not FactorClass.PERSONAL:
            topic = found.setdefault(factor.says or f"factor {factor.name}", _Topic([], []))
            topic.members.append(column)
            topic.factors.append(factor)
    return [topic for topic in found.values() if any(factor.reason for factor in topic.factors)]


def _teller(topic: _Topic, names: Sequence[str]) -> list[_Sentence]:
    """The sentences of a topic whose numbers the model's factors can give."""
    sentences = []
    for column, factor in zip(topic.members, topic.factors, strict=True):
        sources = {name: factor.name if name == "value" else name for name in factor.placeholders}
        if factor.reason and all(source in names for source in sources.values()):
            quoted = {name: names.index(source) for name, source in sources.items()}
            sentences.append(_Sentence(factor.name, factor.reason, column, quoted))
    return sentences


def _told(
    ranked: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    tellers: list[list[_Sentence]],
    row: NDArray[np.float64],
    values: NDArray[np.float64],
) -> tuple[Reason, ...]:
    told: list[Reason] = []
    for topic in ranked:
        if weights[topic] <= 0 or len(told) == _MOST:
            break
        fitting = [sentence for sentence in tellers[topic] if sentence.is_true_of(row)]
        if fitting:
            told.append(max(fitting, key=lambda sentence: values[sentence.column]).filled(row))
    return tuple(told)


def _number(value: float) -> float | int:
    """A whole number without its decimals, others rounded to one unless the sentence says otherwise."""
    return int(value) if float(value).is_integer() else _Brief(value)


class _Brief(float):
    """A number that a sentence without a format shows to one decimal."""

    def __format__(self, spec: str) -> str:
        """The number in the sentence's own format, or to one decimal."""
        return float(self).__format__(spec or ".1f")
