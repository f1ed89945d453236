"""Verbs about fairness: who is reached by a model's list, or by any product's scores."""

from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import (
    HOME,
    ConfigFile,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    absolute,
    require_apart,
    setting_of,
)
from dnapredict.errors import GateFailedError, UsageError

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="TOML like fairness/policy.toml, which is the default.")
]


def audit(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: Annotated[str | None, typer.Option(help="Version or alias in the registry.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Any table with appointment_id and probability, from any product.")
    ] = None,
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    previous: Annotated[
        Path | None,
        typer.Option(help="Folder of the last report; otherwise the last audit that the home holds."),
    ] = None,
    monthly: Annotated[bool, typer.Option("--monthly", help="Control charts month by month too.")] = False,
    easy_read: Annotated[bool, typer.Option("--easy-read", help="A summary in Easy Read too.")] = False,
    study: Annotated[
        bool, typer.Option("--study", help="Ways to a fairer list too, those of research among them.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="The pages as PDF too, with Chromium, Chrome or Edge.")] = False,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
) -> None:
    """Compare how well patients of different groups are reached.

    Judges by the outcomes in EXTRACT. Writes a report of aggregates, rounded and suppressed; no
    patient's row is written or logged.
    A limit that differs from the last audit's is refused unless two people agreed to it (exit 11).
    Exits 0 when no gate fails and 13 when one does, so that a release job can stop on it.

    Example:  dnapredict audit outpatients.parquet --model 7 --out reports/7
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped
    from dnapredict.fairness.extra_outputs import browser

    if (model is None) == (scores is None):
        raise UsageError("Give either --model V or --scores FILE.")
    if pdf:
        browser()  # said before the work, not after it
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    read = {
        "EXTRACT": extract,
        "--scores": scores,
        "--mapping": mapping,
        "--policy": policy,
        "--config": config,
    }
    require_apart(setting, outputs={"--out": out}, inputs=read)
    asked = {"monthly": monthly, "easy-read": easy_read, "study": study, "pdf": pdf}
    done = pipeline.audit(
        extract,
        out=out,
        setting=setting,
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        home=absolute(home),
        model=model,
        scores=scores,
        previous=previous,
        extras=frozenset(name for name, wanted in asked.items() if wanted),
        say=say,
    )
    for gate in done.result.gates:
        typer.echo(f"{gate.code:4} {gate.verdict!s:16} {gate.title}")
    typer.echo(f"Verdict: {done.result.verdict}. The report is {done.report}")
    if str(done.result.verdict) == "FAIL":
        failed = ", ".join(gate.code for gate in done.result.gates if str(gate.verdict) == "FAIL")
        raise GateFailedError(f"Fairness gate {failed} failed. Read {done.report} before anything is promoted.")


def sign(
    report: Annotated[Path, typer.Argument(metavar="REPORT_DIR", help="Folder of the report.")],
    name: Annotated[str, typer.Option(help="Who decides.")],
    role: Annotated[str, typer.Option(help="In which role, such as equality lead.")],
    decision: Annotated[str, typer.Option(help="approve, conditions or reject.")],
    reason: Annotated[str, typer.Option(help="Why; with conditions, which.")],
    dissent: Annotated[str, typer.Option(help="Who disagreed, and why.")] = "",
    home: Home = HOME,
) -> None:
    """Put a decision beside a fairness report, for good.

    It is bound to exactly this report, model and data; 'promote', 'score' and 'serve' honour it. A reject
    is in force at once and stays, whatever is audited, until a person signs a later report. A 'sign' that
    was stopped is completed when it is run again.

    Example:  dnapredict sign reports/7 --name "A. Name" --role "Equality lead" --decision approve
              --reason "Every group is reached."
    """
    from dnapredict import pipeline

    signed = pipeline.sign(
        report,
        home=absolute(home),
        name=name,
        role=role,
        decision=decision,
        reason=reason,
        dissent=dissent,
    )
    typer.echo(f"{report}: signed by {signed.signature.name}, {signed.signature.decision}.")
    if signed.signature.decision == "reject" and signed.versions:
        say("No list is scored with it from now on. `dnapredict rollback` or `promote` puts another in use.")
    if signed.versions:
        say(f"The decision stands beside version {', '.join(signed.versions)} in the registry.")
    else:
        say("No version in this home has this report as its last audit, so it stands beside the report only.")


def access(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
) -> None:
    """Say who is on the list, who waits, who misses.

    Asks it of the service itself, before any model. Writes a report of four pages and a table of
    indicators that can be published each year: aggregates, rounded and suppressed, with likely ranges.

    Example:  dnapredict access outpatients.parquet --out reports/access
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    read = {"EXTRACT": extract, "--mapping": mapping, "--policy": policy, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=read)
    done = pipeline.access(
        extract,
        out=out,
        setting=setting,
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        say=say,
    )
    typer.echo(f"The report is {done.report}, its figures {done.report.with_name('indicators.csv')}")
