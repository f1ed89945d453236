"""Reasons for a risk: exact SHAP values, worded by the register of factors.

A reason is "linked with" a missed appointment; it is not a cause.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.factor_register import Factor, FactorClass, FactorRegister
from dnapredict.model.risk_model import RiskModel

MOST_REASONS: Final = 3
_NONE: Final = -1


@dataclass(frozen=True)
class Reason:
    """One reason: its factor, and a sentence with the patient's own numbers."""

    factor: str
    text: str


@dataclass(frozen=True)
class ReasonColumns:
    """The reasons of n rows by rank, the strongest first; None where a row has fewer reasons.

    Attributes
    ----------
    factors, texts : for each rank, n names of factors and n sentences
    """

    factors: tuple[NDArray[np.object_], ...]
    texts: tuple[NDArray[np.object_], ...]

    @classmethod
    def empty(cls, rows: int) -> "ReasonColumns":
        """No reason for any of `rows` rows."""
        none = tuple(np.full(rows, None, dtype=object) for _ in range(MOST_REASONS))
        return cls(none, none)


def contributions(model: RiskModel, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """SHAP values of each row, in log odds before calibration: (n, p).

    They are exact: a row's values and the model's expected margin add up to the row's margin.
    """
    return model.contributions(matrix)


def reasons(model: RiskModel, matrix: NDArray[np.float64], *, register: FactorRegister) -> list[tuple[Reason, ...]]:
    """At most three reasons for each row, the strongest first: the result of `Explainer.explain` by row."""
    columns = Explainer.of(model, register).explain(matrix)
    rows = zip(zip(*columns.factors, strict=True), zip(*columns.texts, strict=True), strict=True)
    return [
        tuple(Reason(factor, text) for factor, text in zip(*row, strict=True) if factor is not None) for row in rows
    ]


@dataclass(frozen=True)
class _Topic:
    """Factors that share one meaning, with their columns."""

    members: list[int]
    factors: list[Factor]


@dataclass(frozen=True)
class _Sentence:
    """A factor's sentence, with the column of the factor and the columns of the numbers in it."""

    factor: str
    text: str
    column: int
    quoted: dict[str, int]

    def is_true_of(self, is_there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows in which its factor and numbers are all known and not zero."""
        return np.asarray(is_there[:, [self.column, *self.quoted.values()]].all(axis=1), dtype=bool)

    def filled(self, rows: NDArray[np.float64]) -> NDArray[np.object_]:
        """The sentence with each patient's own numbers; rows with equal numbers are formatted once."""
        if not self.quoted:
            return np.full(len(rows), self.text.format(), dtype=object)
        numbers, which = np.unique(rows[:, list(self.quoted.values())], axis=0, return_inverse=True)
        texts = np.array([self._with(row) for row in numbers.tolist()], dtype=object)
        sentences: NDArray[np.object_] = texts[which.reshape(-1)]
        return sentences

    def _with(self, numbers: Sequence[float]) -> str:
        return self.text.format_map(dict(zip(self.quoted, map(_number, numbers), strict=True)))


@dataclass(frozen=True)
class Explainer:
    """The reasons of a model's risks, in the sentences of the register; created once for a model."""

    model: RiskModel
    topics: tuple[_Topic, ...]
    sentences: tuple[tuple[_Sentence, ...], ...]
    """The sentences of each topic."""

    @classmethod
    def of(cls, model: RiskModel, register: FactorRegister) -> "Explainer":
        """The explainer of `model`, whose factors are in `register`."""
        topics = _topics([register.factor(name) for name in model.factors])
        return cls(model, topics, tuple(_sentences(topic, model.factors) for topic in topics))

    def explain(self, matrix: NDArray[np.float64]) -> ReasonColumns:
        """At most three reasons for each row, the strongest first.

        Factors with one meaning are summed into one reason, worded by the factor that contributes most. Only
        contributions that raise the risk become reasons, only with a sentence of the register that is true of
        the patient, and never a personal factor such as age.
        """
        if not self.topics or not len(matrix):
            return ReasonColumns.empty(len(matrix))
        values = contributions(self.model, matrix)
        # Zero and unknown values give no reason: not "Moved 0 times".
        is_there = ~np.isnan(matrix) & (matrix != 0)
        weights = np.column_stack([values[:, topic.members].sum(axis=1) for topic in self.topics])
        sentence = np.column_stack(
            [_best_sentence(some, is_there, values, begins=begins) for some, begins in _numbered(self.sentences)]
        )
        strength = np.where((weights > 0) & (sentence != _NONE), weights, -np.inf)
        every = [sentence for some in self.sentences for sentence in some]
        chosen = _strongest(strength, sentence)
        factors, texts = zip(*(_worded(at_rank, every, matrix) for at_rank in chosen), strict=True)
        return ReasonColumns(factors, texts)


def _topics(factors: Sequence[Factor]) -> tuple[_Topic, ...]:
    topics: dict[str, _Topic] = {}
    for column, factor in enumerate(factors):
        if factor.factor_class is not FactorClass.PERSONAL:
            topic = topics.setdefault(factor.says or f"factor {factor.name}", _Topic([], []))
            topic.members.append(column)
            topic.factors.append(factor)
    return tuple(topic for topic in topics.values() if any(factor.reason for factor in topic.factors))


def _sentences(topic: _Topic, names: Sequence[str]) -> tuple[_Sentence, ...]:
    """The sentences of a topic whose numbers are factors of the model."""
    sentences = []
    for column, factor in zip(topic.members, topic.factors, strict=True):
        sources = {name: factor.name if name == "value" else name for name in factor.placeholders}
        if factor.reason and all(source in names for source in sources.values()):
            quoted = {name: names.index(source) for name, source in sources.items()}
            sentences.append(_Sentence(factor.name, factor.reason, column, quoted))
    return tuple(sentences)


def _numbered(sentences: Sequence[Sequence[_Sentence]]) -> Iterator[tuple[Sequence[_Sentence], int]]:
    """The sentences of each topic, with the index of its first one among all sentences."""
    begins = 0
    for some in sentences:
        yield some, begins
        begins += len(some)


def _best_sentence(
    sentences: Sequence[_Sentence],
    is_there: NDArray[np.bool_],
    values: NDArray[np.float64],
    *,
    begins: int,
) -> NDArray[np.int64]:
    """Index, for each row, of the true sentence whose factor contributes most; `_NONE` if none is true."""
    if not sentences:
        return np.full(len(values), _NONE)
    adds = np.column_stack([np.where(each.is_true_of(is_there), values[:, each.column], -np.inf) for each in sentences])
    best = adds.argmax(axis=1)
    silent = np.isneginf(adds[np.arange(len(adds)), best])
    return np.where(silent, _NONE, best + begins)


def _strongest(strength: NDArray[np.float64], sentence: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each rank the index of the sentence; `_NONE` where nothing further raises the risk."""
    order = np.argsort(-strength, axis=1, kind="stable")[:, :MOST_REASONS]
    raises = np.take_along_axis(strength, order, axis=1) > 0
    spoken = np.where(raises, np.take_along_axis(sentence, order, axis=1), _NONE)
    missing = MOST_REASONS - spoken.shape[1]
    return [*spoken.T, *(np.full(len(spoken), _NONE) for _ in range(missing))]


def _worded(
    chosen: NDArray[np.int64], sentences: Sequence[_Sentence], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Factor and text of the sentence chosen for each row."""
    factors, texts = (np.full(len(chosen), None, dtype=object) for _ in range(2))
    for number in np.unique(chosen[chosen != _NONE]):
        rows = np.flatnonzero(chosen == number)
        factors[rows] = sentences[number].factor
        texts[rows] = sentences[number].filled(matrix[rows])
    return factors, texts


def _number(value: float) -> Any:
    """A whole number without decimals; others have one decimal unless the sentence has its own format."""
    return int(value) if float(value).is_integer() else _Brief(value)


class _Brief(float):
    """A number that a sentence without a format shows to one decimal."""

    def __format__(self, spec: str) -> str:
        """The number in the sentence's own format, or to one decimal."""
        return float(self).__format__(spec or ".1f")
