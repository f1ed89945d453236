"""The comparison of all methods on the same half of the patients, and its page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.small_numbers import publish_count
from dnapredict.errors import NoEventsError
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells, find_hidden_counts
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.intervals import Interval, printed_interval, z_of
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups
from dnapredict.fairness.report.csv_tables import csv_text, interval_cells
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.run_audit import ReportContext
from dnapredict.fairness.study.methods import RESEARCH, RULES, Calls, Half, by_risk, halves

Shared = Literal["proportionate", "floor"]
Allocate = Callable[[NDArray[np.float64], NDArray[np.float64], int, Shared], Calls]
_SHARED: Final[tuple[Shared, ...]] = get_args(Shared)
_TITLES: Final = {
    "by_risk": "By risk alone",
    "recalibrated": "Recalibrated in each fifth of deprivation, then by risk",
    "proportionate": "Each fifth its share of need",
    "floor": "A floor for each fifth, then by risk",
    "optimised": "fairlearn: threshold optimiser by ethnic group",
    "reduced": "fairlearn: reduction (exponentiated gradient)",
}
_CALLS_OFF: Final = 0.005  # a list longer or shorter than settings by this share of appointments breaks it
_WORTH_SAYING: Final = 0.005


@dataclass(frozen=True)
class Method:
    """The results of one method on patients that it was not fitted on.

    `called` and the reaches are shares with their intervals; `lowest` is the ethnic group with the lowest reach;
    `by_risk` is the reach of ranking by risk with as many calls. `breaks` are sentences on what the method violates.
    """

    name: str
    title: str
    research: bool
    called: Interval | None
    reach: Interval | None
    core20: Interval | None
    rest: Interval | None
    lowest: tuple[str, Interval] | None
    by_risk: Interval | None
    breaks: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """All methods on the same appointments: their number (rounded), the share that is called, and the seed."""

    rows: int
    share: float
    seed: int
    methods: tuple[Method, ...]


def study(
    audited: AuditData,
    *,
    factors: NDArray[np.float64] | None,
    allocate: Allocate,
    policy: Policy,
    seed: int,
) -> Study:
    """Compare the rules and fairlearn's methods at this trust's share of calls.

    Parameters
    ----------
    factors : (n, p) float, optional
        What the model sees of each appointment; without them the reduction sees the risk alone.
    allocate
        Selects appointments by an allocation rule: risks, deciles, number of calls and the rule's name.

    Raises
    ------
    NoEventsError
        If too few missed, or too few came, to fit and judge anything.
    """
    fit, judged = halves(audited, factors, seed=seed)
    for half in (fit, judged):
        if min(half.missed.sum(), (~half.missed).sum()) < policy.smallest_group:
            raise NoEventsError(
                f"audit: a study needs {policy.smallest_group} missed appointments in each half of the patients, "
                "and as many that were attended. Ask for the report without --study."
            )
    share = float(audited.table["selected"].to_numpy(zero_copy_only=False).mean())
    calls = max(1, round(share * len(judged.risk)))
    settings = _Settings(fit, judged, calls, share, policy, seed)
    results = (*_rules(settings, allocate), *_research(settings))
    rows = publish_count(len(judged.risk), policy.disclosure) or 0  # it has `smallest_group` missed ones
    return Study(rows, round(share, 3), seed, results)


@dataclass(frozen=True)
class _Settings:
    """The input and settings of every method."""

    fit: Half
    judged: Half
    calls: int
    share: float
    policy: Policy
    seed: int


def _rules(settings: _Settings, allocate: Allocate) -> Iterator[Method]:
    judged, policy = settings.judged, settings.policy
    for rule_name, rule in RULES.items():
        yield _judged(rule_name, judged, rule(settings.fit, judged, settings.calls), policy)
    if judged.audited.has(["imd_decile"]):
        decile = judged.audited.table["imd_decile"].cast("float64").to_numpy()
        for name in _SHARED:
            yield _judged(name, judged, allocate(judged.risk, decile, settings.calls, name), policy)


def _research(settings: _Settings) -> Iterator[Method]:
    fit, judged = settings.fit, settings.judged
    if not judged.audited.has(["ethnic_category_code"]):
        return
    for name, method in RESEARCH.items():
        called, again = (method(fit, judged, seed) for seed in (settings.seed, settings.seed + 1))
        unseen = _unseen(method, settings) if name == "optimised" else None
        breaks = tuple(_broken(judged, called, again, share=settings.share, unseen=unseen, name=name))
        yield _judged(name, judged, called, settings.policy, breaks=breaks)


def _unseen(method: Callable[..., Calls], settings: _Settings) -> tuple[int, int] | None:
    """Calls to, and size of, a group that was left out of the fit; None where there is only one group."""
    group, (groups, sizes) = settings.judged.group, np.unique(settings.fit.group, return_counts=True)
    if len(groups) < 2:
        return None
    smallest = int(groups[sizes.argmin()])
    called = method(settings.fit, settings.judged, settings.seed, leave_out=smallest)
    return int(called[group == smallest].sum()), int((group == smallest).sum())


def _broken(
    judged: Half, called: Calls, again: Calls, *, share: float, unseen: tuple[int, int] | None, name: str
) -> Iterator[str]:
    made = called.mean()
    if abs(made - share) > _CALLS_OFF:
        yield f"It calls {100 * made:.0f} of 100 appointments; there are calls for {100 * share:.0f}."
    changed = (called & ~again).sum() / max(1, called.sum())
    if changed > _WORTH_SAYING:
        yield f"It draws lots: with another seed, of every 100 calls {100 * changed:.0f} go to other people."
    passed_over = _out_of_order(judged, called)
    if passed_over > _WORTH_SAYING:
        yield (
            f"{100 * passed_over:.0f} of 100 calls go to somebody whose risk is lower than that of a person "
            "of the same fifth who is not called, so that rank and reasons no longer explain the list."
        )
    if unseen is not None and unseen[0] == 0 and unseen[1]:
        yield "Of a group that it was not fitted on it calls nobody, and gives no warning."
    if name == "optimised":
        yield "It needs each person's ethnic group to decide, which is held for monitoring alone."
    else:
        yield "It needs each person's ethnic group to be fitted, and gives yes or no in place of a risk."


def _out_of_order(judged: Half, called: Calls) -> float:
    """Share of calls to somebody at lower risk than a person of the same fifth who is not called."""
    wrong = 0
    for fifth in np.unique(judged.fifth):
        inside = judged.fifth == fifth
        left = judged.risk[inside & ~called]
        if len(left):
            wrong += int((judged.risk[inside & called] < left.max()).sum())
    return wrong / max(1, int(called.sum()))


def _judged(name: str, judged: Half, called: Calls, policy: Policy, *, breaks: tuple[str, ...] = ()) -> Method:
    appointments = judged.audited.with_calls(called)
    core20, ethnic = (_counted(appointments, grouping) for grouping in ("core20", "ethnicity_5"))
    everyone = core20 or ethnic
    present = {members.grouping.name: members for members in (core20, ethnic) if members is not None}
    hidden = find_hidden_counts(present, policy.disclosure)
    return Method(
        name=name,
        title=_TITLES[name],
        research=name in RESEARCH,
        called=_figure(everyone, None, "selection_rate", policy=policy),
        reach=_figure(everyone, None, "reach", policy=policy),
        core20=_figure(core20, "core20", "reach", policy=policy, hidden=hidden),
        rest=_figure(core20, "rest", "reach", policy=policy, hidden=hidden),
        lowest=_lowest(ethnic, policy, hidden),
        by_risk=_by_risk(judged, called, policy),
        breaks=breaks,
    )


def _by_risk(judged: Half, called: Calls, policy: Policy) -> Interval | None:
    longest = by_risk(judged, judged, int(called.sum()))
    appointments = judged.audited.with_calls(longest)
    everyone = _counted(appointments, "core20") or _counted(appointments, "ethnicity_5")
    return _figure(everyone, None, "reach", policy=policy)


def _counted(appointments: AuditData, grouping: str) -> CountedGrouping | None:
    members = membership(appointments, grouping_named(grouping))
    return None if members is None else count_groups(appointments, members)


def _figure(
    counted: CountedGrouping | None, code: str | None, name: str, *, policy: Policy, hidden: HiddenCells | None = None
) -> Interval | None:
    """A rate of a group, or of everyone without a `code`, as it may be printed."""
    if counted is None:
        return None
    if code and hidden and hidden.hides(counted.grouping.name, code, counts_in_rate(name)):
        return None
    pairs = zip(counted.groups, counted.counts, strict=True)
    counts = counted.total if code is None else next(each for group, each in pairs if group.code == code)
    return printed_interval(publish_rate(rate(counts, name), policy.disclosure), z_of(policy.confidence))


def _lowest(ethnic: CountedGrouping | None, policy: Policy, hidden: HiddenCells) -> tuple[str, Interval] | None:
    """The ethnic group with the lowest reach, among those with enough missed appointments."""
    if ethnic is None:
        return None
    pairs = zip(ethnic.groups, ethnic.counts, strict=True)
    names = [group for group, counts in pairs if group.known and counts.missed >= policy.smallest_group]
    reaches = [
        (group.name, figure)
        for group in names
        if (figure := _figure(ethnic, group.code, "reach", policy=policy, hidden=hidden))
    ]
    return min(reaches, key=lambda pair: pair[1].value) if reaches else None


_FIGURES = ("called", "reach", "by_risk", "core20", "rest")


def study_files(study: Study, context: ReportContext) -> dict[str, bytes]:
    """`study.html` and `study.csv` by name."""
    header = ["method", "research", *(f"{name}{end}" for name in _FIGURES for end in ("", "_low", "_high"))]
    header += ["lowest_ethnic_group", "lowest", "lowest_low", "lowest_high", "breaks"]
    lines = [header, *(_line(method) for method in study.methods)]
    html = page("study.html.j2", study=study, context=context)
    return {"study.html": html.encode(), "study.csv": csv_text(lines).encode("utf-8-sig")}


def _line(method: Method) -> list[Any]:
    figures = [end for name in _FIGURES for end in interval_cells(getattr(method, name))]
    name, lowest = method.lowest or ("", None)
    return [method.name, method.research, *figures, name, *interval_cells(lowest), " ".join(method.breaks)]
