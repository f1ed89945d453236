"""Verbs about a randomised trial of the calls: plan and register it, report it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import HOME, AsJson, Home, home_option

if TYPE_CHECKING:
    from dnapredict.pipeline.in_use.trial_planning import PlannedTrial


def plan_trial(
    home: Home = HOME,
    relative_risk: Annotated[
        float,
        typer.Option(help="Effect to look for: share missed with a planned call divided by the share without."),
    ] = 0.61,
    calls_a_week: Annotated[
        float | None, typer.Option(help="Calls in a week.", show_default="as the home knows it")
    ] = None,
    share_missed: Annotated[
        float | None,
        typer.Option(help="Share of those called that is missed without a call.", show_default="as the home knows it"),
    ] = None,
    amend: Annotated[
        str | None, typer.Option(metavar="REASON", help="Register a change of the trial, with its reason.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many weeks a trial of the calls needs and what effect it can show, and register it.

    The trial is [trial] in serving/worklist.toml; without one nothing is registered. The figures are those of the
    outcome store or of the kept lists, with a power of 80% and a two-sided alpha of 5%. The pre-registration is written
    to the folder trial of the home, and its digest to the ledger of decisions.

    Example:  dnapredict trial plan --relative-risk 0.8
    """
    from dnapredict.pipeline.in_use.trial_planning import plan_trial as plan

    planned = plan(
        home_option(home),
        relative_risk=relative_risk,
        calls_a_week=calls_a_week,
        share_missed=share_missed,
        amend=amend,
    )
    if as_json:
        typer.echo(json.dumps(_plan_json(planned)))
        return
    for line in _plan_lines(planned):
        typer.echo(line)


def report_trial(
    out: Annotated[Path, typer.Option("--out", help="Folder for report.html, trial.json and the tables.")],
    home: Home = HOME,
    name: Annotated[
        str | None, typer.Option(help="Name of the trial.", show_default="the one with the latest appointments")
    ] = None,
    pounds_per_call: Annotated[
        float | None, typer.Option(min=0, help="What a call costs, for the cost of an appointment that is kept.")
    ] = None,
) -> None:
    """Report the effect of the calls by the arms of the trial, with the outcomes read so far.

    The report may be made each week: what it claims allows for every look. It claims nothing that chance explains.

    Example:  dnapredict trial report --out reports/trial --pounds-per-call 3.50
    """
    from dnapredict.pipeline.in_use.trial_reporting import report_trial as report

    reported = report(home_option(home), out, name=name, pounds_per_call=pounds_per_call, say=say)
    say(reported.result.claim.sentence)
    say(reported.result.ranking.reason)
    if reported.benefit_model is not None:
        say(f"Benefit model: {reported.benefit_model}")
    say(f"Report: {reported.page}")


def _plan_json(planned: "PlannedTrial") -> dict[str, Any]:
    trial, size, inputs, registration = planned.trial, planned.size, planned.inputs, planned.registration
    figures = planned.figures
    return {
        "trial": None if trial is None else trial.model_dump(mode="json") | {"share_drawn": str(trial.share)},
        "relative_risk": planned.relative_risk,
        "weeks_needed": None if size is None else size.weeks,
        "weeks_planned": planned.weeks_planned,
        "appointments": None if size is None else {"called": size.called, "held_out": size.held_out},
        "detectable_relative_risk": planned.detectable,
        "figures": None
        if figures is None or inputs is None
        else {
            "calls_a_week": round(figures.calls_a_week, 1),
            "share_missed": round(figures.share_missed, 4),
            "share_reached": None if figures.share_reached is None else round(figures.share_reached, 3),
            "design_effect": round(inputs.design_effect, 3),
            "share_held_out": inputs.share_held_out,
            "power": inputs.power,
            "alpha": inputs.alpha,
            "source": figures.source,
        },
        "registered": registration is not None,
        "registered_on": None if registration is None else registration.registered_on.isoformat(),
        "sha256": None if registration is None else registration.sha256,
        "file": None if planned.file is None else str(planned.file),
    }


def _plan_lines(planned: "PlannedTrial") -> Iterator[str]:
    """The plan for a person: figures, weeks, effect that can be seen, registration."""
    size, inputs, figures = planned.size, planned.inputs, planned.figures
    if size is None or inputs is None or figures is None:
        yield (
            "This home knows too few calls to plan a trial by. Give both figures, --calls-a-week and --share-missed, "
            "or score lists first."
        )
    else:
        yield (
            f"From {figures.source}: {inputs.calls_a_week:.0f} calls a week, {inputs.share_missed:.1%} of them missed "
            f"without a call; {inputs.share_held_out:.0%} held out; several appointments of a patient raise the "
            f"variance {inputs.design_effect:.2f} times."
        )
        yield (
            f"A relative risk of {planned.relative_risk:.2f} is found with 80% power by {size.called:,} appointments "
            f"with a call and {size.held_out:,} held out: {size.weeks:,} weeks."
        )
        yield from _end_lines(planned)
        yield from _reached_lines(planned)
    yield from _registration_lines(planned)


def _end_lines(planned: "PlannedTrial") -> Iterator[str]:
    if planned.trial is None or planned.weeks_planned is None:
        return
    day = planned.trial.end
    end = f"By its end on {day.day} {day:%B %Y}, after {planned.weeks_planned:.1f} weeks, the trial can show"
    if planned.detectable is None:
        yield f"{end} no effect at all: end it later, or hold out more."
    else:
        yield f"{end} a relative risk of {planned.detectable:.2f} or lower."


def _reached_lines(planned: "PlannedTrial") -> Iterator[str]:
    risk, figures = planned.reached_relative_risk, planned.figures
    if risk is None or figures is None or figures.share_reached is None:
        return
    known = f"{figures.share_reached:.0%} of the planned calls reach somebody:"
    if risk < 0:
        yield f"{known} too few for a relative risk of {planned.relative_risk:.2f}. Look for a smaller effect."
    else:
        yield f"{known} that is a relative risk of {risk:.2f} among those who are reached."


def _registration_lines(planned: "PlannedTrial") -> Iterator[str]:
    registration = planned.registration
    if registration is None:
        lacking = "this home has no model" if planned.trial else "serving/worklist.toml has no [trial]"
        yield f"Nothing is registered: {lacking}."
        return
    verb = (
        "is registered now"
        if planned.is_new
        else f"was registered on {registration.registered_on.day} {registration.registered_on:%B %Y}"
    )
    yield f"The trial '{registration.settings.name}' {verb}: {planned.file}"
    yield f"SHA-256, as in the ledger of decisions: {registration.sha256}"
