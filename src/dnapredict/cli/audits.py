"""Verbs about fairness: audit a model or any product's scores, sign a report, report on access."""

import datetime
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import (
    HOME,
    ComputeEngine,
    ConfigFile,
    EngineName,
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

if TYPE_CHECKING:
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.training_config import Setting
    from dnapredict.pipeline import Assessment, Audit, Monitored

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="TOML like fairness/policy.toml, which is the default.")
]


SealKey = Annotated[
    Path | None,
    typer.Option(help="File with the key of 64 hexadecimal characters by which files of counts are sealed."),
]


def audit(
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    extract: Annotated[
        Path | None, typer.Argument(help="CSV, CSV.GZ, XLSX or Parquet with one row for each appointment.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Version or alias in the registry.")] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="Scores of any product: a table with appointment_id and probability. May be repeated, to see "
            "products side by side."
        ),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of files that `audit-counts` wrote, in place of EXTRACT."),
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
    seal_key: SealKey = None,
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
) -> None:
    """Compare how well patients of different groups are reached.

    Uses the outcomes in EXTRACT. The report holds aggregates only, rounded and with small counts hidden; no
    patient's row is written or logged. With --pool there is one verdict on several trusts, from their counts, and
    each trust's place beside it.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue; the executors check
    and score it for --model, and the figures are the same. The home must be on a disk that they have too.

    A limit that differs from the last audit's is refused unless two people agreed to it (exit 11).
    Exits 0 when no gate fails and 13 when one does, so that a release job can stop on it.

    Example:  dnapredict audit outpatients.parquet --model 7 --out reports/7
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped
    from dnapredict.fairness.extra_outputs import browser

    given = tuple(scores or ())
    _require_one_source(extract, model, given, pool)
    if engine is EngineName.SPARK and model is None:
        raise UsageError("--engine spark scores EXTRACT with --model; it reads no --scores and no --pool.")
    if pdf:
        browser()  # fails now if there is none, not after the work
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {"EXTRACT": extract, "--pool": pool, "--mapping": mapping, "--policy": policy, "--config": config}
    inputs |= {f"--scores {path}": path for path in given}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    wanted = {"monthly": monthly, "easy-read": easy_read, "study": study, "pdf": pdf}
    extras = frozenset(name for name, is_wanted in wanted.items() if is_wanted)
    limits = load(policy or shipped("fairness/policy.toml"), Policy)
    if pool is not None:
        result = pipeline.audit_pool(
            pool,
            out=out,
            policy=limits,
            timezone=setting.mapping.timezone,
            home=home_option(home),
            previous=previous,
            extras=extras,
            seal_key=seal_key,
            say=say,
        )
    elif extract is not None and len(given) > 1:
        _compare_products(extract, given, out=out, setting=setting, policy=limits, home=home, extras=extras)
        return
    elif engine is EngineName.SPARK:
        result = pipeline.audit_on_spark(
            str(extract),
            out=out,
            setting=setting,
            policy=limits,
            home=home_option(home),
            model=str(model),
            previous=previous,
            extras=extras,
            say=say,
        )
    else:
        result = pipeline.audit(
            extract or Path(),
            out=out,
            setting=setting,
            policy=limits,
            home=home_option(home),
            model=model,
            scores=given[0] if given else None,
            previous=previous,
            extras=extras,
            say=say,
        )
    _tell(result)


def _require_one_source(extract: Path | None, model: str | None, scores: Sequence[Path], pool: Path | None) -> None:
    if pool is not None:
        if extract is not None or model is not None or scores:
            raise UsageError("--pool takes the place of EXTRACT, --model and --scores: give it alone.")
        return
    if extract is None:
        raise UsageError("Give EXTRACT, or --pool DIR with the trusts' files of counts.")
    if (model is None) == (not scores):
        raise UsageError("Give either --model V or --scores FILE.")


def _tell(audit: "Audit") -> None:
    """Verdicts on standard output; exit 13 where a gate failed."""
    result = audit.result
    for gate in result.gates:
        typer.echo(f"{gate.code:4} {gate.verdict!s:16} {gate.title}")
    for place in result.trusts:
        typer.echo(f"     {place.verdict!s:16} {place.trust}")
    typer.echo(f"Verdict: {result.verdict}. The report is {audit.report}")
    if str(result.verdict) == "FAIL":
        failed = ", ".join(gate.code for gate in result.gates if str(gate.verdict) == "FAIL")
        raise GateFailedError(f"Fairness gate {failed} failed. Read {audit.report} before anything is promoted.")


def _compare_products(
    extract: Path,
    scores: Sequence[Path],
    *,
    out: Path,
    setting: "Setting",
    policy: "Policy",
    home: Path,
    extras: frozenset[str],
) -> None:
    """Audit several products side by side; exit 13 where one fails."""
    from dnapredict import pipeline

    if extras:
        raise UsageError("Several products are compared on one page. For more outputs audit one product alone.")
    found = pipeline.compare_products(
        extract, scores, out=out, setting=setting, policy=policy, home=home_option(home), say=say
    )
    for product in found.products:
        typer.echo(f"{product.verdict!s:16} {product.name}")
    typer.echo(f"The report is {found.report}")
    failed = [product.name for product in found.products if str(product.verdict) == "FAIL"]
    if failed:
        raise GateFailedError(f"The audit of {', '.join(failed)} failed. Read {found.report} before anything is used.")


def audit_counts(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="File for the counts, such as rxa.counts.json.")],
    trust: Annotated[str, typer.Option(help="Name of the trust in the pooled report.")],
    model: Annotated[str | None, typer.Option(help="Version or alias in the registry.")] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Scores of any product, named after product and version: all trusts give files of the same name."
        ),
    ] = None,
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    seal_key: SealKey = None,
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
) -> None:
    """Write a trust's counts, for one audit of several trusts.

    No row leaves the trust.

    Counts are whole numbers by group, protected as the policy's table [pooling] says, and sealed: an edited file is
    refused. `dnapredict audit --pool DIR` makes one report of the files of all trusts.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue; the executors check
    and score it for --model, and the counts are the same. The home must be on a disk that they have too.

    Example:  dnapredict audit-counts outpatients.parquet --model 7 --trust "Trust A" --out pool/a.counts.json
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    if (model is None) == (scores is None):
        raise UsageError("Give either --model V or --scores FILE.")
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {
        "EXTRACT": extract,
        "--scores": scores,
        "--mapping": mapping,
        "--policy": policy,
        "--config": config,
        "--seal-key": seal_key,
    }
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    limits = load(policy or shipped("fairness/policy.toml"), Policy)
    if engine is EngineName.SPARK:
        if model is None:
            raise UsageError("--engine spark scores EXTRACT with --model; it reads no --scores.")
        count = partial(pipeline.audit_counts_on_spark, str(extract), model=model)
    else:
        count = partial(pipeline.audit_counts, extract, model=model, scores=scores)
    written = count(
        out=out, trust=trust, setting=setting, policy=limits, home=home_option(home), seal_key=seal_key, say=say
    )
    for sentence in written.unknown:
        say(sentence)
    if written.is_exact:
        say("These counts are exact, as the policy's [pooling] allows: send them under a data sharing agreement only.")
    if not written.is_keyed:
        say("Sealed by a digest: an edit by accident is noticed. With --seal-key nobody can make another file.")
    typer.echo(f"The counts are {written.path}")


def sign(
    report: Annotated[
        Path, typer.Argument(metavar="REPORT_DIR", help="Folder of the report; or a policy, to agree to its changes.")
    ],
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

    If the policy names signatories, only they can sign, each with a personal key that is typed at a prompt, or read
    from a file or the environment; a failed audit needs two of them. Conditions end on the day of --until. For 14 more
    days each list has a notice; then no list is scored.

    A policy with other signatories or limits than the home has on record must be signed in the same way by the two
    people in its [[changes]]: sign fairness/policy.toml, with approve.

    Example:  dnapredict sign reports/7 --name "A. Name" --role "Equality lead" --decision approve
              --reason "Every group is reached."
    """
    from dnapredict import pipeline
    from dnapredict.cli.signing_proof import proof_of
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    if report.suffix == ".toml":
        if decision != "approve" or until is not None:
            raise UsageError(f"{report}: is a policy. It can only be approved (--decision approve, without --until).")
        person = pipeline.consent(
            load(report, Policy),
            home=home_option(home),
            name=name,
            reason=reason,
            prove=lambda: proof_of(signing_key, settings),
        )
        typer.echo(f"{report}: {person.name} approves it as it is now.")
        return
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
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
) -> None:
    """Report who is on the list, who waits long and who misses.

    Describes the service itself, without any model. Writes a report of four pages and a table of indicators for
    yearly publication: aggregates with confidence intervals, rounded and with small counts hidden. The home
    remembers what was published, so that two reports together give no small count back.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue: the executors count,
    and the figures are the same.

    Example:  dnapredict access outpatients.parquet --out reports/access
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {"EXTRACT": extract, "--mapping": mapping, "--policy": policy, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    verb: Callable[..., Assessment] = pipeline.access_on_spark if engine is EngineName.SPARK else pipeline.access
    result = verb(
        str(extract) if engine is EngineName.SPARK else extract,
        out=out,
        setting=setting,
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        home=home_option(home),
        say=say,
    )
    typer.echo(f"The report is {result.report}, its figures {result.report.with_name('indicators.csv')}")


def monitor(
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    extract: Annotated[
        Path | None, typer.Argument(help="CSV, CSV.GZ, XLSX or Parquet with one row for each appointment.")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Scores of any product: a table with appointment_id and probability."),
    ] = None,
    mapping: MappingFile = None,
    policy: PolicyFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print monitor.json on standard output.")] = False,
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
) -> None:
    """Watch the model in use by week, with alarms of drift.

    Watches level, slope, reach and inputs on the outcomes in EXTRACT, of the model in use or of the scores of any
    product; without EXTRACT, on those that 'dnapredict outcomes' brought back. All charts together raise a false alarm
    once in 20 years on average, however often somebody looks. Exits 13 while an alarm holds, and 0 otherwise.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue; the executors check
    it and score it with the model in use. The figures are the same. The home must be on a disk that they have too.

    Example:  dnapredict monitor outpatients.parquet --out reports/monitor
    """
    from dnapredict import pipeline
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {"EXTRACT": extract, "--scores": scores, "--mapping": mapping, "--policy": policy, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    rules = load(policy or shipped("fairness/policy.toml"), Policy)
    shared: dict[str, Any] = {"out": out, "setting": setting, "policy": rules, "home": home_option(home), "say": say}
    done: Monitored
    if engine is EngineName.SPARK:
        if extract is None or scores is not None:
            raise UsageError("--engine spark watches the model in use on EXTRACT; it reads no --scores.")
        done = pipeline.monitor_on_spark(str(extract), **shared)
    else:
        done = pipeline.monitor(extract, scores=scores, **shared)
    if as_json:
        typer.echo(json.dumps(done.result.figures(), ensure_ascii=False))
    for alarm in done.result.lasting:
        say(f"ALARM ({alarm.what}): {alarm.message}")
    say(f"The report is {done.report}")
    if done.result.lasting:
        raise GateFailedError(done.result.summary)
    say(done.result.summary)
