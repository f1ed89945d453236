"""The model card: intended use, training data, metrics by group and week, limitations and provenance of a model."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from dnapredict.config.training_config import Worth
from dnapredict.model.artefact import Provenance, StoredModel
from dnapredict.model.cohort import EVERYONE, POPULATIONS, WEEKLY
from dnapredict.model.evaluate.capacity_metrics import net_benefit_curve
from dnapredict.model.evaluate.metric_intervals import PercentileInterval
from dnapredict.model.evaluate.model_checks import metrics_by_group
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, brier_decomposition, reliability_table
from dnapredict.model.fit.training import Training
from dnapredict.model.report.training_charts import mean_strengths
from dnapredict.model.report.training_records import reach_table


def group_section(training: Training) -> str:
    """Metrics by specialty, site and mode, where the extract has them."""
    by_group = metrics_by_group(training.tested, training.test_probability)
    if not by_group:
        return ""
    rows = (
        (
            group.grouping,
            group.name,
            f"{group.metrics.n:,}",
            four_decimals(group.metrics.base_rate),
            four_decimals(group.metrics.log_loss),
            four_decimals(group.metrics.auroc),
            f"{group.observed_over_expected:.2f}",
        )
        for group in by_group
    )
    head = ("", "", "Appointments", "Share missed", "Log loss", "AUROC", "Missed for each predicted")
    return f"""
## By specialty, site and mode

Groups of fewer than 100 appointments, or 10 missed, are counted together.

{markdown_table(head, rows)}
"""


def capacity_section(training: Training, *, worth: Worth) -> str:
    """Reach and net benefit of weekly lists at each capacity."""
    dna, risk = training.test_dna, training.test_probability
    titles = {EVERYONE: "all appointments", WEEKLY: "weekly list"}
    reached = (
        (name, title, f"{reach:.3f}", f"{ppv:.3f}")
        for population, title in titles.items()
        for name, reach, ppv in reach_table(training, population)
    )
    best = max(net_benefit_curve(dna, risk, worth=worth), key=lambda point: point.pounds)
    return f"""
## What calls reach, week by week

Of those who missed, the share that had been on their week's list, and the share of calls that went to
someone who missed.

{markdown_table(("Calls", "Of", "Reach", "PPV"), reached)}

At {worth.call_cost:g} pounds a call and {worth.slot_value:g} for a kept appointment, and if a call leaves
{worth.relative_risk:g} of the missed ones, calling {best.share:.0%} of a list earns most:
{best.pounds:.2f} pounds for each appointment on it, against {best.blind:.2f} if the same number were drawn
at random. Risk is not benefit: whom a call helps most is not known.
"""


def drift_section(training: Training) -> str:
    """The share missed before and during the test window, week by week."""
    rows = (
        (
            f"{week.monday:%d %B %Y}",
            f"{week.n:,}",
            f"{week.share_missed:.3f}",
            "" if week.mean_risk is None else f"{week.mean_risk:.3f}",
            "" if week.observed_over_expected is None else f"{week.observed_over_expected:.2f}",
        )
        for week in training.weeks[-_WEEKS_SHOWN:]
    )
    head = ("Week of", "Appointments", "Share missed", "Mean risk", "Missed for each predicted")
    return f"""
## The share missed by week

The mean risk is that of the calibration window ({training.split.calibrate}); later changes are not
predicted. The last {_WEEKS_SHOWN} weeks:

{markdown_table(head, rows)}
"""


def four_decimals(value: float | None) -> str:
    """A number to four decimals, or "not estimable"."""
    return "not estimable" if value is None or not np.isfinite(value) else f"{value:.4f}"


def markdown_table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_WEEKS_SHOWN = 12


_NAMES: Final = {
    "all": "All appointments",
    "booked_1_day": "Booked at least one day ahead",
    "weekly": "Weekly list: booked at least seven days ahead",
    "first_time": "First-time patients: no past appointment known",
}
_SHOWN: Final = {
    "log_loss": "Log loss",
    "brier": "Brier",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "sensitivity_at_10": "Reach of the top tenth",
    "ppv_at_10": "Calls of the top tenth that go to someone who missed",
}
_USE: Final = """
## What it is for

To offer support before an appointment to patients who are likely to miss it: a call to confirm,
transport, an interpreter, another time or mode.

**Never for** overbooking, discharge, delaying or withholding care.
"""
_LIMITS: Final = """
## What is not known

- A risk is estimated from what is recorded; it does not say why a person misses an appointment, nor whom a
  call would help most.
- The figures are of the test window above, at the place that the extract is from. Elsewhere, and after
  a change of booking, reminders or clinics, measure again.
- Once patients are called, their outcomes change. Where the extract says who was reached (`contacted`), the
  risk is that without a call; where it does not, it is the risk with whatever calls were made.
- Whether people of different groups are reached alike is in the fairness report, not here.
"""


def model_card(training: Training, stored: StoredModel) -> str:
    """The card of a model as Markdown; it holds aggregates only."""
    origin = stored.manifest.provenance
    parts = [
        _title(stored),
        _USE,
        _data(training, origin),
        _figures(training),
        _rivals(training),
        _calibration(training),
        drift_section(training),
        group_section(training),
        capacity_section(training, worth=origin.config.worth),
        _factors(training, stored),
        _LIMITS,
        _origin(stored),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def _title(stored: StoredModel) -> str:
    made_up = "**Synthetic: trained on made-up patients. Not for use with real ones.**\n\n"
    first = made_up if stored.manifest.provenance.synthetic else ""
    return f"# Risk of a missed appointment: model {stored.digest[:12]}\n\n{first}"


def _data(training: Training, origin: Provenance) -> str:
    config, split = origin.config, training.split
    windows = {"Fitted": split.fit, "Calibrated": split.calibrate, "Tested": split.test}
    rows = ((name, str(w), f"{w.rows:,}", f"{w.dna:,}") for name, w in windows.items())
    return f"""
## What it learned from

An appointment counts as missed if its outcome code is {" or ".join(config.dna_codes)}; cancelled ones
carry no label. It is scored {config.horizon_days} days before it starts, or when it is booked if that is
later, from what had been recorded by then; an outcome without a date of record counts as recorded
{config.recording_delay_days} days after the appointment.

{markdown_table(("", "Days", "Appointments", "Missed"), rows)}

{_deprivation(training, origin)}
{training.contacts or "The extract does not say which patients a validation call had reached."}
{training.tuned or ""}
"""


def _deprivation(training: Training, origin: Provenance) -> str:
    if "imd_decile" not in training.model.factors:
        return "It does not use deprivation deciles."
    if not origin.imd_release:
        return "The extract does not say which release of the Indices of Deprivation its deciles are from."
    return (
        f"Deprivation deciles are those of the English Indices of Deprivation {origin.imd_release}; "
        "deciles of another release are not the same, and must not be fed to it."
    )


def _figures(training: Training) -> str:
    rows = [(_SHOWN[figure], *_row(training, figure)) for figure in _SHOWN]
    sizes = ("Appointments", *(f"{training.test[p].n:,}" for p in POPULATIONS))
    return f"""
## How good it is

On the test window, with 95% intervals (patients resampled). {training.selection}
{f"**{training.leakage_warning}**" if training.leakage_warning else ""}

{markdown_table(("", *(_NAMES[p] for p in POPULATIONS)), [sizes, *rows])}
"""


def _row(training: Training, figure: str) -> list[str]:
    return [
        _with_interval(training.test[population], training.intervals[population], figure) for population in POPULATIONS
    ]


def _with_interval(figures: RiskMetrics, intervals: dict[str, PercentileInterval], figure: str) -> str:
    value = figures.as_dict()[figure]
    if value is None:
        return "not estimable"
    interval = intervals.get(figure)
    return f"{value:.3f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")


def _rivals(training: Training) -> str:
    named = {"**this model**": training.test} | training.baselines
    rows = (
        (
            name.replace("_", " "),
            *(four_decimals(metrics[EVERYONE].as_dict()[f]) for f in ("log_loss", "brier", "auroc")),
        )
        for name, metrics in named.items()
    )
    return f"""
## Compared with simple baselines

All appointments of the test window; each baseline was calibrated on the same days.

{markdown_table(("", "Log loss", "Brier", "AUROC"), rows)}
"""


def _calibration(training: Training) -> str:
    dna, risk = training.test_dna, training.test_probability
    parts = brier_decomposition(dna, risk)
    rows = (
        (f"{b.mean_risk:.3f}", f"{b.share_missed:.3f} ({b.low:.3f} to {b.high:.3f})")
        for b in reliability_table(dna, risk)
    )
    return f"""
## Calibration: does a risk mean what it says?

Calibrated by `{training.model.calibrator.method}` on the latest days of training{_sites(training)}.
The Brier score is {parts.miscalibration:.4f} (miscalibration) - {parts.discrimination:.4f} (discrimination)
+ {parts.uncertainty:.4f} (uncertainty).

{markdown_table(("Mean risk", "Share missed (95% interval)"), rows)}
"""


def _sites(training: Training) -> str:
    shifts = training.model.site_shifts
    return f", and separately for {len(shifts)} sites" if shifts else ""


def _factors(training: Training, stored: StoredModel) -> str:
    register = stored.manifest.provenance.register_of_factors
    factors = [register.factor(name) for name in stored.manifest.factors]
    strengths = mean_strengths(training)
    moved = [float(s) for s in strengths] if strengths is not None else [None] * len(factors)
    rows = (
        (f.title, f.factor_class, four_decimals(m), f.agreed_by, f"{f.agreed_on:%d %B %Y}" if f.agreed_on else "")
        for f, m in zip(factors, moved, strict=True)
    )
    dropped = [f.title for f in register.agreed if f.name not in stored.manifest.factors]
    without = f"\nAgreed but not fed by this extract: {'; '.join(dropped)}.\n" if dropped else ""
    return f"""
## What it looks at

A factor moves the risk of an appointment of the test by its mean absolute SHAP value, in log odds before
calibration ({len(training.sample):,} appointments, drawn at random). That is what the model does,
and no cause.

{markdown_table(("Factor", "Class", "Mean absolute SHAP", "Agreed by", "On"), rows)}
{without}"""


def _origin(stored: StoredModel) -> str:
    manifest, origin = stored.manifest, stored.manifest.provenance
    rows = [
        ("Manifest SHA-256", stored.digest),
        *((f"{name} SHA-256", digest) for name, digest in manifest.files.items()),
        ("Extract SHA-256", origin.data_sha256),
        ("Register of factors", f"{origin.register_of_factors.version}, SHA-256 {manifest.register_sha256}"),
        ("Code", origin.code_revision),
        ("Seed", str(origin.config.seed)),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())),
    ]
    return f"## Where it comes from\n\n{markdown_table(('', ''), rows)}\n"
