"""What each factor of the register is computed from, and which of them an extract can feed.

The register (`training/factors.toml`) says which factors were agreed; this module says what they
are. A name that stands in the register and not here, or that would draw on an audit-only column,
is refused.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.config.register import Factor, FactorRegister
from dnapredict.data import codes
from dnapredict.data.columns import NAMES, audit_only
from dnapredict.errors import ConfigurationError

__all__ = ["EXPRESSIONS", "fed_by", "verify"]

Expression = Callable[[ir.Table], ir.Value]
_EPOCH_THURSDAY: Final = 3


def _is(column: str, *values: str) -> Expression:
    return lambda t: t[column].isin(values)


def _known_code(column: str, known: Mapping[str, str], *, yes: tuple[str, ...]) -> Expression:
    """1 for the codes in `yes`, 0 for other national codes, null for a code that is not national."""
    return lambda t: ibis.ifelse(t[column].isin(list(known)), t[column].isin(yes), ibis.null("boolean"))


def _remote(t: ir.Table) -> ir.Value:
    by_mechanism = _known_code(
        "consultation_mechanism_code", codes.CONSULTATION_MECHANISM, yes=codes.REMOTE_MECHANISMS
    )(t)
    by_attendance = _known_code(
        "first_attendance_code", codes.FIRST_ATTENDANCE, yes=codes.REMOTE_FIRST_ATTENDANCE
    )(t)
    return ibis.coalesce(by_mechanism, by_attendance)


def _ordered(column: str, known: Mapping[str, str]) -> Expression:
    """The place of a code in its national order, from 0."""
    return lambda t: t[column].cases(
        *((code, rank) for rank, code in enumerate(known)), else_=ibis.null("int8")
    )


def _weekday(t: ir.Table) -> ir.Value:
    return (t.starts_local.date().epoch_days() + _EPOCH_THURSDAY) % 7 + 1


def _hour(t: ir.Table) -> ir.Value:
    """The hour on the clinic's clock; null for 23:59:59, which stands for a day without a clock time."""
    last_second = (t.starts_local.hour() == 23) & (t.starts_local.second() == 59)
    return ibis.ifelse(last_second, ibis.null("int32"), t.starts_local.hour())


def _shrunken_rate(t: ir.Table) -> ir.Value:
    """The patient's own DNA rate, drawn towards the whole with the weight of three appointments."""
    weight = 3.0
    return (t.n_past_dna + weight * t.rate_whole) / (t.n_past_appointments + weight)


def _column(name: str) -> Expression:
    return lambda t: t[name]


EXPRESSIONS: Final[Mapping[str, Expression]] = MappingProxyType(
    {
        "lead_days": _column("lead_days"),
        "appointment_weekday": _weekday,
        "appointment_hour": _hour,
        "booking_hour": lambda t: t.booked_local.hour(),
        "follow_up": _known_code("first_attendance_code", codes.FIRST_ATTENDANCE, yes=codes.FOLLOW_UP),
        "remote": _remote,
        "priority": _ordered("priority_type_code", codes.PRIORITY_TYPE),
        "times_rescheduled": _column("times_rescheduled"),
        "same_day_appointments": _column("n_same_day"),
        "transport_booked": _column("transport_booked"),
        "has_mobile": _column("has_mobile"),
        "interpreter_needed": _column("interpreter_needed"),
        "clinic_rate": _column("rate_clinic"),
        "site_rate": _column("rate_site"),
        "specialty_rate": _column("rate_specialty"),
        "weekday_hour_rate": _column("rate_weekday_hour"),
        "referral_source_rate": _column("rate_referral_source"),
        "overall_rate": _column("rate_whole"),
        "area_rate": _column("rate_area"),
        "distance_km": _column("distance_km"),
        "imd_decile": _column("imd_decile"),
        "receives_welfare": _column("receives_welfare"),
        "past_appointments": _column("n_past_appointments"),
        "past_dnas": _column("n_past_dna"),
        "past_dna_rate": _shrunken_rate,
        "past_cancelled_by_patient": _column("n_past_cancelled_by_patient"),
        "past_cancelled_by_provider": _column("n_past_cancelled_by_provider"),
        "days_since_last_dna": _column("days_since_last_dna"),
        "days_since_last_attendance": _column("days_since_last_attendance"),
        "days_since_last_contact": _column("days_since_last_contact"),
        "mean_gap_days": _column("mean_gap_days"),
        "last_outcome_dna": _column("last_outcome_dna"),
        "last_three_dna": _column("last_three_dna"),
        "past_dnas_specialty": _column("n_past_dna_specialty"),
        "past_appointments_specialty": _column("n_past_appointments_specialty"),
        "past_dnas_site": _column("n_past_dna_site"),
        "past_appointments_site": _column("n_past_appointments_site"),
        "age_years": _column("age_years"),
        "male": _known_code("gender_code", {"1": "", "2": ""}, yes=("1",)),
    }
)


def verify(register: FactorRegister) -> None:
    """Refuse a register whose agreed factors cannot or must not be computed.

    Raises
    ------
    ConfigurationError
        If a factor is not one that dnapredict computes, names a column outside the contract,
        or draws on a column that is held for the audit only.
    """
    for factor in register.agreed:
        if factor.name not in EXPRESSIONS:
            known = ", ".join(sorted(EXPRESSIONS))
            raise ConfigurationError(
                f"factor register: '{factor.name}' is not a factor that dnapredict computes. Known: {known}."
            )
        _verify_columns(factor)


def _verify_columns(factor: Factor) -> None:
    unknown = [name for name in factor.columns if name not in NAMES]
    if unknown:
        raise ConfigurationError(
            f"factor register: '{factor.name}' needs column '{unknown[0]}', which the contract does not have."
        )
    withheld = sorted(audit_only() & set(factor.columns))
    if withheld:
        raise ConfigurationError(
            f"factor register: '{factor.name}' draws on '{withheld[0]}', held for the audit only; it "
            "never feeds a factor. Withdraw the factor."
        )


def fed_by(register: FactorRegister, present: frozenset[str]) -> tuple[Factor, ...]:
    """The agreed factors whose columns are all in an extract; the others are dropped and reported."""
    return tuple(factor for factor in register.agreed if present.issuperset(factor.columns))
