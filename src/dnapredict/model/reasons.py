"""Reasons for a risk: exact SHAP values, worded by the register of factors.

A reason is "linked with" a missed appointment; it is not a cause. It is given only if it raises the risk and its value
is unusual in the direction of the sentence: a value that most people have explains no patient's risk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.factor_register import Factor, FactorClass, FactorRegister, ReasonNumber, quoted_names

if TYPE_CHECKING:
    # For its types only: a worklist takes its columns from here, and needs no LightGBM for that.
    from dnapredict.model.risk_model import RiskModel

MOST_REASONS: Final = 3
_NONE: Final = -1


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


def contributions(model: "RiskModel", matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """SHAP values of each row, in log odds before calibration: (n, p).

    They are exact: a row's values and the model's expected margin add up to the row's margin.
    """
    return model.contributions(matrix)


@dataclass(frozen=True)
class UsualRange:
    """The usual range of each factor: the middle half of the appointments that the model learned from.

    Attributes
    ----------
    low, high : (p,) float64
        The lower and the upper quartile; NaN where a factor was never known.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class _Topic:
    """Factors that share one meaning, with their columns."""

    members: list[int]
    factors: list[Factor]


@dataclass(frozen=True)
class _Sentence:
    """A factor's sentence, and the conditions for the rows that may show it.

    Attributes
    ----------
    column
        The column of the factor.
    quoted
        The columns of the numbers in the sentence, by their names in it.
    bounds
        A column, and the range outside of which its value must lie: (NaN, high) or (low, NaN).
    once
        A column, and whether its value must be 1 or must not.
    unless
        A column whose value must not be 1.
    """

    factor: str
    text: str
    column: int
    quoted: dict[str, int]
    bounds: tuple[int, float, float] | None = None
    once: tuple[int, bool] | None = None
    unless: int | None = None

    def is_true_of(self, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Rows in which its factor and numbers are known, not zero, and unusual."""
        values = matrix[:, [self.column, *self.quoted.values()]]
        # Zero and unknown values give no reason: not "Moved 0 times".
        holds = (~np.isnan(values) & (values != 0)).all(axis=1)
        if self.bounds is not None:
            column, low, high = self.bounds
            holds &= (matrix[:, column] < low) | (matrix[:, column] > high)
        if self.once is not None:
            column, is_one = self.once
            holds &= (matrix[:, column] == 1) == is_one
        if self.unless is not None:
            holds &= matrix[:, self.unless] != 1
        return np.asarray(holds, dtype=bool)

    def filled(self, rows: NDArray[np.float64]) -> NDArray[np.object_]:
        """The sentence with each patient's own numbers; rows with equal numbers are formatted once."""
        if not self.quoted:
            return np.full(len(rows), self.text.format(), dtype=object)
        numbers, which = np.unique(rows[:, list(self.quoted.values())], axis=0, return_inverse=True)
        texts = np.array([self._with(row) for row in numbers.tolist()], dtype=object)
        sentences: NDArray[np.object_] = texts[which.reshape(-1)]
        return sentences

    def _with(self, numbers: Sequence[float]) -> str:
        return self.text.format_map(dict(zip(self.quoted, map(ReasonNumber, numbers), strict=True)))


@dataclass(frozen=True)
class Explainer:
    """The reasons of a model's risks, in the sentences of the register; created once for a model."""

    model: "RiskModel"
    topics: tuple[_Topic, ...]
    sentences: tuple[tuple[_Sentence, ...], ...]
    """The sentences of each topic."""

    @classmethod
    def of(cls, model: "RiskModel", register: FactorRegister, usual: UsualRange | None = None) -> "Explainer":
        """The explainer of `model`, whose factors are in `register`; without `usual` any value can be a reason."""
        topics = _topics([register.factor(name) for name in model.factors])
        return cls(model, topics, tuple(_sentences(topic, model.factors, usual) for topic in topics))

    def explain(self, matrix: NDArray[np.float64]) -> ReasonColumns:
        """At most three reasons for each row, the strongest first.

        Factors with one meaning are summed into one reason, worded by the factor that contributes most. Only
        contributions that raise the risk become reasons, only with a sentence of the register that is true for
        the patient and about an unusual value, and never a personal factor such as age.
        """
        if not self.topics or not len(matrix):
            return ReasonColumns.empty(len(matrix))
        values = contributions(self.model, matrix)
        weights = np.column_stack([values[:, topic.members].sum(axis=1) for topic in self.topics])
        sentence = np.column_stack(
            [_best_sentence(some, matrix, values, begins=begins) for some, begins in _numbered(self.sentences)]
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
    return tuple(topic for topic in topics.values() if any(factor.sentences for factor in topic.factors))


def _sentences(topic: _Topic, names: Sequence[str], usual: UsualRange | None) -> tuple[_Sentence, ...]:
    """The sentences of a topic whose numbers are factors of the model."""
    each = zip(topic.members, topic.factors, strict=True)
    return tuple(found for column, factor in each for found in _sentences_of(factor, column, names, usual))


def _sentences_of(factor: Factor, column: int, names: Sequence[str], usual: UsualRange | None) -> Iterator[_Sentence]:
    """The sentences of one factor: above what is usual, about a single event, and below what is usual."""
    compared = names.index(factor.unusual) if factor.unusual in names else column
    unless = names.index(factor.unless) if factor.unless in names else None
    above = None if usual is None else (compared, np.nan, _upper_bound(factor, compared, usual))
    for text, is_one in ((factor.reason, False), (factor.reason_once, True)):
        quoted = _columns_of(text, factor.name, names)
        if quoted is not None:
            once = _once(factor, names, is_one=is_one)
            yield _Sentence(factor.name, text, column, quoted, above, once, unless)
    quoted = _columns_of(factor.reason_below, factor.name, names)
    if quoted is not None and usual is not None:
        # A factor without known values has no low values: no value is below NaN.
        below = (compared, float(usual.low[compared]), np.nan)
        yield _Sentence(factor.name, factor.reason_below, column, quoted, below, None, unless)


def _columns_of(text: str, factor: str, names: Sequence[str]) -> dict[str, int] | None:
    """The columns of the numbers in a sentence; None if there is no sentence, or the model lacks one of them."""
    sources = {name: factor if name == "value" else name for name in quoted_names(text)}
    if not text or not all(source in names for source in sources.values()):
        return None
    return {name: names.index(source) for name, source in sources.items()}


def _once(factor: Factor, names: Sequence[str], *, is_one: bool) -> tuple[int, bool] | None:
    """The number that decides between `reason` and `reason_once`, if the register has both."""
    first = next(iter(quoted_names(factor.reason)), "value")
    source = factor.name if first == "value" else first
    return (names.index(source), is_one) if factor.reason_once and source in names else None


def _upper_bound(factor: Factor, compared: int, usual: UsualRange) -> float:
    """The bound that a value must exceed: the upper quartile, raised as the register requires."""
    # For a factor without known values, any value is unusual.
    high = -np.inf if np.isnan(usual.high[compared]) else factor.times_usual * usual.high[compared]
    return float(high if factor.least is None else max(high, np.nextafter(factor.least, -np.inf)))


def _numbered(sentences: Sequence[Sequence[_Sentence]]) -> Iterator[tuple[Sequence[_Sentence], int]]:
    """The sentences of each topic, with the index of its first one among all sentences."""
    begins = 0
    for some in sentences:
        yield some, begins
        begins += len(some)


def _best_sentence(
    sentences: Sequence[_Sentence],
    matrix: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    begins: int,
) -> NDArray[np.int64]:
    """Index, for each row, of the true sentence whose factor raises the risk most; `_NONE` if there is none."""
    if not sentences:
        return np.full(len(values), _NONE)
    added = [values[:, each.column] for each in sentences]
    holds = [each.is_true_of(matrix) & (adds > 0) for each, adds in zip(sentences, added, strict=True)]
    adds = np.column_stack([np.where(is_true, each, -np.inf) for is_true, each in zip(holds, added, strict=True)])
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
