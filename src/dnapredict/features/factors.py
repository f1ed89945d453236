"""What each factor of the register is computed from, and which of them an extract can feed.

The register (`training/factors.toml`) says which factors were agreed; this module says what they
are. A name that stands in the register and not here, or that would draw on an audit-only column,
is refused.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from dnapredict.config.factor_register import Factor, FactorRegister, Status
from dnapredict.config.loading import load, shipped
from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, CONTACT_NAMES, NAMES, never_factors
from dnapredict.data.validation.contract_check import type_of
from dnapredict.errors import ConfigurationError
from dnapredict.features.booking_context import AROUND, AT_CLINIC
from dnapredict.features.history import KNOWN, SCOPES, HistoryScope
from dnapredict.features.rates import KINDS, SHARES

# Words of the protected characteristics of the Equality Act 2010, section 4.
_PROTECTED: Final = re.compile(
    r"\b(age|aged|years old|young|younger|old|older|elderly|disab\w*|impair\w*|transgender|trans|gender|sex|sexual\w*|"
    r"male|female|man|men|woman|women|pregnan\w*|matern\w*|married|marriage|civil partner\w*|race|racial|ethnic\w*|"
    r"black|asian|white|nationalit\w*|religio\w*|belief|faith|gay|lesbian|bisexual|heterosexual)\b",
    re.IGNORECASE,
)

Expression = Callable[[ir.Table], ir.Value]
_EPOCH_THURSDAY: Final = 3


def _known_code(column: str, known: Mapping[str, str], *, yes: tuple[str, ...]) -> Expression:
    """1 for the codes in `yes`, 0 for other national codes, null for a code that is not national."""
    return lambda t: ibis.ifelse(t[column].isin(list(known)), t[column].isin(yes), ibis.null("boolean"))


def _remote(t: ir.Table) -> ir.Value:
    by_mechanism = _known_code(
        "consultation_mechanism_code", codes.CONSULTATION_MECHANISM, yes=codes.REMOTE_MECHANISMS
    )(t)
    by_attendance = _known_code("first_attendance_code", codes.FIRST_ATTENDANCE, yes=codes.REMOTE_FIRST_ATTENDANCE)(t)
    return ibis.coalesce(by_mechanism, by_attendance)


def _ordered(column: str, known: Mapping[str, str]) -> Expression:
    """The place of a code in its national order, from 0."""
    return lambda t: t[column].cases(*((code, rank) for rank, code in enumerate(known)), else_=ibis.null("int8"))


def _weekday(t: ir.Table) -> ir.Value:
    return (t.starts_local.date().epoch_days() + _EPOCH_THURSDAY) % 7 + 1


def _hour(t: ir.Table) -> ir.Value:
    """The hour on the clinic's clock; null for 23:59:59, which means a day without a clock time."""
    last_second = (t.starts_local.hour() == 23) & (t.starts_local.second() == 59)
    return ibis.ifelse(last_second, ibis.null("int32"), t.starts_local.hour())


def _drawn_to_whole(happened: str, of: str, whole: str, scope: HistoryScope) -> Expression:
    """The patient's own share, drawn towards that of the whole with the weight of three appointments."""
    weight = 3.0
    return lambda t: (t[f"{happened}{scope.ending}"] + weight * t[whole]) / (t[f"{of}{scope.ending}"] + weight)


def _if_patient_known(name: str) -> Expression:
    """A count of pairs, which has no row where there are none."""
    return lambda t: ibis.ifelse(t.patient_id.notnull(), t[name].fill_null(0), ibis.null("int64"))


def _column(name: str) -> Expression:
    return lambda t: t[name]


def _history(scope: HistoryScope) -> dict[str, Expression]:
    """What is known of the patient's past appointments: all of them, or those within a scope."""
    named = {
        "past_appointments": _column(f"n_past_appointments{scope.ending}"),
        "past_dnas": _column(f"n_past_dna{scope.ending}"),
        "past_attendances": _column(f"n_past_attended{scope.ending}"),
        "past_cancelled_by_patient": _column(f"n_past_cancelled_by_patient{scope.ending}"),
        "past_cancelled_by_provider": _column(f"n_past_cancelled_by_provider{scope.ending}"),
        "past_dna_rate": _drawn_to_whole("n_past_dna", "n_past_appointments", "rate_whole", scope),
        "past_attendance_rate": _drawn_to_whole("n_past_attended", "n_past", "share_attended", scope),
        "past_cancelled_by_patient_rate": _drawn_to_whole(
            "n_past_cancelled_by_patient", "n_past", "share_cancelled_by_patient", scope
        ),
        "past_cancelled_by_provider_rate": _drawn_to_whole(
            "n_past_cancelled_by_provider", "n_past", "share_cancelled_by_provider", scope
        ),
        "days_since_last_dna": _column(f"days_since_last_dna{scope.ending}"),
        "days_since_last_attendance": _column(f"days_since_last_attendance{scope.ending}"),
        "last_outcome_dna": _column(f"last_outcome_dna{scope.ending}"),
        "last_three_dna": _column(f"last_three_dna{scope.ending}"),
    }
    return {f"{name}{scope.ending}": how for name, how in named.items() if not scope.only or name in scope.only}


EXPRESSIONS: Final[Mapping[str, Expression]] = MappingProxyType(
    {
        "lead_days": _column("lead_days"),
        "days_since_referral": lambda t: t.starts_local.date().epoch_days() - t.referred_local.date().epoch_days(),
        "appointment_weekday": _weekday,
        "appointment_hour": _hour,
        "booking_hour": lambda t: t.booked_local.hour(),
        "follow_up": _known_code("first_attendance_code", codes.FIRST_ATTENDANCE, yes=codes.FOLLOW_UP),
        "remote": _remote,
        "priority": _ordered("priority_type_code", codes.PRIORITY_TYPE),
        "times_rescheduled": _column("times_rescheduled"),
        "same_day_appointments": _if_patient_known("n_same_day"),
        "appointments_within_14_days": _if_patient_known("n_within_14_days"),
        "booked_same_day": _if_patient_known("n_booked_same_day"),
        "booked_together": _column("n_booked_together"),
        "booked_just_before": _column("n_booked_just_before"),
        "transport_booked": _column("transport_booked"),
        "has_mobile": _column("has_mobile"),
        "interpreter_needed": _column("interpreter_needed"),
        "clinic_rate": _column("rate_clinic"),
        "site_rate": _column("rate_site"),
        "specialty_rate": _column("rate_specialty"),
        "provider_rate": _column("rate_provider"),
        "place_rate": _column("rate_place"),
        "weekday_hour_rate": _column("rate_weekday_hour"),
        "referral_source_rate": _column("rate_referral_source"),
        "overall_rate": _column("rate_whole"),
        "area_rate": _column("rate_area"),
        "distance_km": _column("distance_km"),
        "imd_decile": _column("imd_decile"),
        "receives_welfare": _column("receives_welfare"),
        **{name: how for scope in SCOPES for name, how in _history(scope).items()},
        "days_since_last_contact": _column("days_since_last_contact"),
        "mean_gap_days": _column("mean_gap_days"),
        "first_time": lambda t: t.n_past_appointments == 0,
        "past_reschedules": _column("n_past_rescheduled"),
        "age_years": _column("age_years"),
        "male": _known_code("gender_code", {"1": "", "2": ""}, yes=("1",)),
    }
)


def columns_read(factors: Iterable[str]) -> frozenset[str]:
    """The columns that the expressions of `factors` read: of the contract, of history, of rates."""
    table = _every_column()
    fields = (field for name in factors for field in EXPRESSIONS[name](table).op().find(ops.Field))
    return frozenset(field.name for field in fields)


@cache
def _every_column() -> ir.Table:
    """Stands for a table that has whatever an expression may read."""
    own = {column.name: type_of(column) for column in COLUMNS}
    clocks = dict.fromkeys(("booked_local", "starts_local", "referred_local"), "timestamp")
    history = {f"{name}{scope.ending}": "float64" for scope in SCOPES for name in KNOWN}
    counts = dict.fromkeys((*AROUND, *AT_CLINIC), "int64") | {"lead_days": "int64"}
    shares = dict.fromkeys((*SHARES, *(f"rate_{kind}" for kind in KINDS)), "float64")
    return ibis.table(own | clocks | history | counts | shares, name="every_column")


def verify(register: FactorRegister) -> None:
    """Refuse a register whose factors cannot or must not be computed.

    Raises
    ------
    ConfigurationError
        If an agreed factor is not one that dnapredict computes, or an agreed or proposed one names a
        column outside the contract, draws on a column that is held for the audit only, or names a protected
        characteristic in a reason.
    """
    for factor in register.factors:
        if factor.status is Status.WITHDRAWN:
            continue
        if factor.status is Status.AGREED and factor.name not in EXPRESSIONS:
            known = ", ".join(sorted(EXPRESSIONS))
            raise ConfigurationError(
                f"factor register: '{factor.name}' is not a factor that dnapredict computes. Known: {known}."
            )
        _verify_columns(factor)
        _verify_sentences(factor)


def _verify_columns(factor: Factor) -> None:
    contact = [name for name in factor.columns if name in CONTACT_NAMES]
    if contact:
        raise ConfigurationError(
            f"factor register: '{factor.name}' draws on '{contact[0]}', which says who a patient is or how to reach "
            "them; it never feeds a factor. Withdraw the factor."
        )
    unknown = [name for name in factor.columns if name not in NAMES]
    if unknown:
        raise ConfigurationError(
            f"factor register: '{factor.name}' needs column '{unknown[0]}', which the contract does not have."
        )
    withheld = sorted(never_factors() & set(factor.columns))
    if withheld:
        raise ConfigurationError(
            f"factor register: '{factor.name}' draws on '{withheld[0]}', held for the audit only; it "
            "never feeds a factor. Withdraw the factor."
        )


def _verify_sentences(factor: Factor) -> None:
    for sentence in factor.sentences:
        if found := _PROTECTED.search(sentence):
            raise ConfigurationError(
                f"factor register: the reason of '{factor.name}' says '{found[0]}'. A reason names no protected "
                "characteristic (Equality Act 2010, section 4): a clerk reads it before a call. Leave it out."
            )


def fed_by(register: FactorRegister, present: frozenset[str]) -> tuple[Factor, ...]:
    """The agreed factors whose columns are all in an extract; the others are dropped and reported."""
    return tuple(factor for factor in register.agreed if present.issuperset(factor.columns))


def factor_register() -> FactorRegister:
    """The register of agreed factors, every one of which can and may be computed."""
    register = load(shipped("training/factors.toml"), FactorRegister)
    verify(register)
    return register
