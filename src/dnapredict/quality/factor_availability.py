"""The register of factors in readable form, and which factors an extract has the columns for."""

import textwrap
from collections.abc import Iterator
from typing import Any, Final

from dnapredict.config.factor_register import Factor, FactorClass, FactorRegister, Status
from dnapredict.quality.report_figures import FactorAvailability

_WIDTH: Final = 80
_DIRECTION: Final = {1: "Risk may only rise with it.", -1: "Risk may only fall with it.", 0: ""}


def factor_availability(present: frozenset[str], register: FactorRegister) -> tuple[FactorAvailability, ...]:
    """Each agreed factor, and what an extract with the columns `present` lacks for it."""
    return tuple(
        FactorAvailability(factor.name, factor.title, str(factor.factor_class), not missing, missing)
        for factor in register.agreed
        for missing in [_missing(factor, present)]
    )


def register_json(register: FactorRegister, present: frozenset[str] | None) -> dict[str, Any]:
    """The register with every field of every factor; with an extract, `fed` and `missing` beside them."""
    factors = []
    for factor in register.factors:
        entry = factor.model_dump(mode="json", by_alias=True)
        if present is not None and factor.status is Status.AGREED:
            missing = _missing(factor, present)
            entry |= {"fed": not missing, "missing": list(missing)}
        factors.append(entry)
    return {"version": register.version, "factors": factors}


def register_lines(register: FactorRegister, present: frozenset[str] | None) -> Iterator[str]:
    """The register in lines of at most 80 characters: agreed factors by class, then the others."""
    counts = ", ".join(f"{len(_of(register, status))} {status}" for status in Status)
    yield f"Register {register.version}: {counts}."
    if present is not None:
        fed = sum(each.fed for each in factor_availability(present, register))
        yield f"The extract can feed {fed} of {len(register.agreed)} agreed factors."
    for kind in FactorClass:
        found = [factor for factor in register.agreed if factor.factor_class is kind]
        if found:
            yield from _chapter(str(kind), found, present)
    for status in (Status.PROPOSED, Status.WITHDRAWN):
        if _of(register, status):
            yield from _chapter(f"{status}, never in a model", _of(register, status), None)


def _chapter(title: str, factors: list[Factor], present: frozenset[str] | None) -> Iterator[str]:
    yield from ("", title.upper(), "")
    for factor in factors:
        yield from textwrap.wrap(f"{factor.name}: {factor.title}", _WIDTH, subsequent_indent="    ")
        for sentence in _sentences(factor, present):
            yield from textwrap.wrap(
                sentence, _WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
            )


def _sentences(factor: Factor, present: frozenset[str] | None) -> Iterator[str]:
    missing = () if present is None else _missing(factor, present)
    if missing:
        yield f"CANNOT BE FED: the extract lacks {', '.join(missing)}."
    yield f"Why: {factor.why}"
    if factor.columns:
        yield f"From: {', '.join(factor.columns)}."
    if _DIRECTION[factor.direction]:
        yield _DIRECTION[factor.direction]
    if factor.agreed_by and factor.agreed_on:
        yield f"Agreed by {factor.agreed_by}, on {factor.agreed_on}."
    if factor.status is Status.WITHDRAWN:
        yield f"Withdrawn by {factor.withdrawn_by}, on {factor.withdrawn_on}: {factor.withdrawn_why}"


def _missing(factor: Factor, present: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in factor.columns if name not in present)


def _of(register: FactorRegister, status: Status) -> list[Factor]:
    return [factor for factor in register.factors if factor.status is status]
