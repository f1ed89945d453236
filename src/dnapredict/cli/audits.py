"""Verbs about fairness: audit a model or any product's scores, sign a report, report on access."""

import datetime
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
    ServiceFile,
    home_option,
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
        Path | None, typer.Option(help="Scores of any product: a table with appointment_id and probability.")
    ] = None,
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    previous: Annotated[
        Path | None,
        typer.Option(help="Folder of the last report; by default the last audit in the home."),
    ] = None,
    monthly: Annotated[bool, typer.Option("--monthly", help="Add control charts by month.")] = False,
    easy_read: Annotated[bool, typer.Option("--easy-read", help="Add a summary in Easy Read.")] = False,
    study: Annotated[bool, typer.Option("--study", help="Add a comparison of methods for a fairer list.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Add the pages as PDF; needs Chromium, Chrome or Edge.")] = False,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
) -> None:
    """Compare how well patients of different groups are reached.

    Uses the outcomes in EXTRACT. The report holds aggregates only, rounded and with small counts hidden; no
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
        browser()  # fails now if there is none, not after the work
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {
        "EXTRACT": extract,
        "--scores": scores,
        "--mapping": mapping,
        "--policy": policy,
        "--config": config,
    }
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    wanted = {"monthly": monthly, "easy-read": easy_read, "study": study, "pdf": pdf}
    result = pipeline.audit(
        extract,
        out=out,
        setting=setting,
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        home=home_option(home),
        model=model,
        scores=scores,
        previous=previous,
        extras=frozenset(name for name, is_wanted in wanted.items() if is_wanted),
        say=say,
    )
    for gate in result.result.gates:
        typer.echo(f"{gate.code:4} {gate.verdict!s:16} {gate.title}")
    typer.echo(f"Verdict: {result.result.verdict}. The report is {result.report}")
    if str(result.result.verdict) == "FAIL":
        failed = ", ".join(gate.code for gate in result.result.gates if str(gate.verdict) == "FAIL")
        raise GateFailedError(f"Fairness gate {failed} failed. Read {result.report} before anything is promoted.")


def sign(
    report: Annotated[Path, typer.Argument(metavar="REPORT_DIR", help="Folder of the report.")],
    name: Annotated[str, typer.Option(help="Who decides.")],
    role: Annotated[str, typer.Option(help="Their role, such as equality lead.")],
    decision: Annotated[str, typer.Option(help="approve, conditions or reject.")],
    reason: Annotated[str, typer.Option(help="The reason, and any conditions.")],
    dissent: Annotated[str, typer.Option(help="Who disagreed, and why.")] = "",
    until: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day of the conditions; needed with them."),
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(help="File with your personal key, or an OpenID token; otherwise DNAPREDICT_SIGNING_KEY."),
    ] = None,
    policy: PolicyFile = None,
    settings: ServiceFile = None,
    home: Home = HOME,
) -> None:
    """Sign a fairness report with a decision.

    The decision is bound to exactly this report, model and data; 'promote', 'score' and 'serve' obey it. A
    rejection takes effect at once and stays in force, whatever is audited afterwards, until a person signs a later
    report. If 'sign' was stopped, run it again to complete it.

    Where the policy names signatories, only they sign, each with a personal key that is typed when asked for, or read
    from a file or the environment; a failed audit needs two of them. Conditions end on the day that --until gives:
    for 14 more days lists say so, and then no list is scored.

    Example:  dnapredict sign reports/7 --name "A. Name" --role "Equality lead" --decision approve
              --reason "Every group is reached."
    """
    from dnapredict import pipeline
    from dnapredict.cli.signing_proof import proof_of
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    signed = pipeline.sign(
        report,
        home=home_option(home),
        name=name,
        role=role,
        decision=decision,
        reason=reason,
        dissent=dissent,
        until=None if until is None else until.date(),
        prove=lambda: proof_of(signing_key, settings),
        signatories=load(policy or shipped("fairness/policy.toml"), Policy).signatories,
    )
    typer.echo(f"{report}: signed by {signed.signature.name}, {signed.signature.decision}.")
    if not signed.signature.proven:
        say("The policy names no signatories, so that nothing proves who signed (fairness/README.md).")
    if signed.is_owed:
        say("The audit failed: another signatory has to sign the report too.")
    if signed.signature.decision == "reject" and signed.versions:
        say("No list is scored with it from now on. `dnapredict rollback` or `promote` puts another in use.")
    if signed.versions:
        say(f"The decision is recorded for version {', '.join(signed.versions)} in the registry.")
    else:
        say("No version in this home has this report as its last audit; the decision is stored with the report only.")


def access(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
) -> None:
    """Report who is on the list, who waits long and who misses.

    Describes the service itself, without any model. Writes a report of four pages and a table of indicators for
    yearly publication: aggregates with confidence intervals, rounded and with small counts hidden. The home
    remembers what was published, so that two reports together give no small count back.

    Example:  dnapredict access outpatients.parquet --out reports/access
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {"EXTRACT": extract, "--mapping": mapping, "--policy": policy, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    result = pipeline.access(
        extract,
        out=out,
        setting=setting,
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        home=home_option(home),
        say=say,
    )
    typer.echo(f"The report is {result.report}, its figures {result.report.with_name('indicators.csv')}")
