"""The refusals of a version, and the audit reports that are kept with it.

`tests/spec/test_promotion.py` has these rules as tables.
"""

import datetime
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dnapredict.data.files.atomic_write import create_folder, private_folder, write_private
from dnapredict.data.files.digests import file_sha256
from dnapredict.data.files.drafts import is_abandoned
from dnapredict.errors import GateFailedError, ModelError, UnverifiedDecisionError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import FAILED, Deadline, Judgement
from dnapredict.registry.mlflow_store import Store

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


def champions(entries: Iterable[DecisionEntry]) -> tuple[str, ...]:
    """The versions that were promoted and not rolled back, oldest first; the last one is in use."""
    versions: list[str] = []
    for entry in entries:
        if entry.kind == "promotion" and versions[-1:] != [entry["version"]]:
            versions.append(entry["version"])
        elif entry.kind == "rollback":
            versions.pop()
    return tuple(versions)


def alias_problem(alias: str, champion: str) -> str:
    """A message where MLflow's alias names another version than the champion; "" where they agree.

    Each argument is "" where there is none.
    """
    if alias == champion:
        return ""
    if not champion:
        return (
            f"The alias champion in MLflow names version {alias}, which was never put in use. "
            f"`dnapredict promote {alias}` does so once its audit allows it."
        )
    problem = f"names version {alias}, and" if alias else "is gone, though"
    return (
        f"The alias champion in MLflow {problem} version {champion} was put in use. `dnapredict promote "
        f"{champion}` sets the alias right; `dnapredict promote V` puts another version in use."
    )


_COPY_TAGS: Final = {"promotion": ("version", "promoted_at"), "rollback": ("from", "rolled_back_at")}


def uncopied(entries: Sequence[DecisionEntry], tags_of: Callable[[str], Mapping[str, str]]) -> DecisionEntry | None:
    """The last promotion or rollback, if the process was killed before it had copied all of it to MLflow; else None.

    The tag with the time of the entry is written last, so that it is missing after a kill. Nothing is known of what an
    earlier release entered from MLflow (`adoption`): it counts as copied.

    Parameters
    ----------
    tags_of
        The tags in MLflow of a version; empty where it was deleted.
    """
    last = next((entry for entry in reversed(entries) if entry.kind in _COPY_TAGS), None)
    if last is None or last["adopted"]:
        return None
    version, tag = _COPY_TAGS[last.kind]
    tags = tags_of(last[version])
    return last if tags and tags.get(tag) != last.at else None


def champion_before(entries: Sequence[DecisionEntry], entry: DecisionEntry) -> str:
    """The version that was in use when an entry was made; "" where none was."""
    return "".join(champions(entries[: entry.number - 1])[-1:])


def refuse_unskilled(version: str, training: Mapping[str, str]) -> None:
    """Refuse a version without skill, and one with a leak alarm: no signature can allow either."""
    if training.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {training['skill_verdict']}")
    if training.get("leak_alarm"):
        raise ModelError(f"Version {version} is not promoted. {training['leak_alarm']}")


def refuse_by_audit(version: str, judged: Judgement, *, action: str = "promoted") -> None:
    """Refuse a version without an audit, a rejected one, and one that failed without a signature.

    Parameters
    ----------
    action
        The participle for the message: "Version 3 is not promoted: ...".

    Raises
    ------
    ModelError
        If it was never audited for lists of patients.
    GateFailedError
        If its model failed an audit or was rejected, and nothing later has lifted that.
    """
    if judged.audit is None:
        raise ModelError(
            f"Version {version} was never audited for lists of patients. `dnapredict audit EXTRACT --model {version} "
            "--out DIR` compares how well patients of different groups are reached."
        )
    if (rejection := judged.rejected) is not None:
        raise GateFailedError(
            f"Version {version} is not {action}: {rejection['name']} ({rejection['role']}) rejected it on "
            f"{rejection['signed_at'][:10]}. Reason: {rejection['reason'].rstrip('.')}. Another audit does not "
            "change that: a person has to sign its report (`dnapredict sign REPORT_DIR`)."
        )
    unsigned = judged.audit if judged.is_unsigned and judged.audit["verdict"] == FAILED else None
    if (failed := judged.failed or unsigned) is not None:
        raise GateFailedError(
            f"Version {version} is not {action}: a fairness gate failed in the audit of {failed.when[:10]}. "
            "An audit of at least the same appointments that does not fail lifts that. Otherwise read the report; who "
            "answers for equality may sign the last one (`dnapredict sign REPORT_DIR --decision conditions`) with a "
            f"reason, which goes on record.{_second(judged)}"
        )


def refuse_unsigned(version: str, judged: Judgement) -> None:
    """Refuse to promote a version whose last audit asks for a signature.

    Raises
    ------
    GateFailedError
        If the verdict is another than PASS and nobody signed the report.
    """
    if judged.audit is not None and judged.is_unsigned:
        raise GateFailedError(
            f"Version {version} is not promoted: the verdict of its audit of {judged.audit.when[:10]} is "
            f"{judged.audit['verdict']}, and its report is not signed. Read it and decide: `dnapredict sign REPORT_DIR "
            f"--decision approve`, `conditions` or `reject`.{_second(judged)}"
        )


def _second(judged: Judgement) -> str:
    if judged.waiting is None:
        return ""
    return f" {judged.waiting['name']} has signed; a second signatory has to."


def refuse_after_deadline(
    version: str, due: Deadline | None, *, today: datetime.date, with_grace: bool, action: str = "used"
) -> None:
    """Refuse a version whose conditions have ended, or whose audit was not signed in time.

    Parameters
    ----------
    with_grace
        Whether it may still be used for `judgement.DAYS_OF_GRACE` days; a promotion has none.

    Raises
    ------
    GateFailedError
    """
    if due is not None and today > (due.last_day if with_grace else due.day):
        raise GateFailedError(
            f"Version {version} is not {action}: {due.problem}. Audit it again on all outcomes, and let a person "
            "decide (`dnapredict sign REPORT_DIR`)."
        )


def deadline_notice(version: str, due: Deadline | None, *, today: datetime.date) -> str:
    """The sentence to print with each list while a version is used after its deadline; "" otherwise."""
    if due is None or not due.day < today <= due.last_day:
        return ""
    return (
        f"Somebody has to decide about model version {version}: {due.problem}. No list is scored with it after "
        f"{due.last_day:%d %B %Y}. Audit it again and sign the report (`dnapredict audit`, `dnapredict sign`)."
    )


def refuse_not_in_use(version: str, entries: Iterable[DecisionEntry], *, model: str) -> None:
    """Refuse a version that was never promoted with this model, or was rolled back.

    Raises
    ------
    ModelError
    """
    last: DecisionEntry | None = None
    for entry in entries:
        promoted = entry.kind == "promotion" and (entry["version"], entry["model"]) == (version, model)
        left = entry.kind == "rollback" and entry["from"] == version
        back = entry.kind == "rollback" and (entry["version"], entry["model"]) == (version, model)
        last = entry if promoted or left or back else last
    if last is None:
        raise ModelError(
            f"Version {version} was never put in use, so no list is scored with it. `dnapredict promote "
            f"{version}` does so once its audit allows it; `dnapredict audit EXTRACT --model {version} --out "
            "DIR` and `dnapredict compare` judge it beforehand."
        )
    if last.kind == "rollback" and last["from"] == version:
        raise ModelError(
            f"Version {version} was taken out of use on {last.at[:10]} by {last['signed_by']}. Reason: "
            f"{last['why'].rstrip('.')}. `dnapredict promote {version}` puts it in use again."
        )


REPORT: Final = "report.html"
_FIGURES: Final = "audit.json"
_SIGNATURE: Final = "signature.json"


def report_digest(report: Path) -> str:
    """SHA-256 of a report's page, by which signatures and versions refer to the report."""
    return file_sha256(report / REPORT)


def kept_report(store: Store, version: Any, digest: str) -> Path:
    """The folder for the report with that digest of a version, whether it exists or not.

    It is found by its path in this home and not by MLflow's address, which still names the old home after a
    home was moved or copied.
    """
    return _audits(store, version) / digest


def kept_reports(store: Store, version: Any) -> Iterator[Path]:
    """The folders of all reports that are kept for a version."""
    return (path.parent for path in sorted(_audits(store, version).glob(f"*/{REPORT}")))


def kept_report_files(store: Store, entries: Iterable[DecisionEntry]) -> Iterator[tuple[Path, str]]:
    """The files of every audit's kept report with their SHA-256, where the version is still there."""
    for entry, folder in audited_reports(store, entries):
        yield from ((folder / name, digest) for name, digest in json.loads(entry["files"] or "{}").items())


def audited_reports(store: Store, entries: Iterable[DecisionEntry]) -> Iterator[tuple[DecisionEntry, Path]]:
    """Every audit with the folder of its kept report, where the version was not deleted in MLflow."""
    for entry in entries:
        if entry.kind != "audit":
            continue
        try:
            folder = kept_report(store, store.version(entry["version"]), entry["report"])
        except ModelError:  # the version was deleted in MLflow
            continue
        yield entry, folder


def unrecorded_reports(store: Store, version: Any, entries: Sequence[DecisionEntry]) -> Iterator[Path]:
    """The kept reports of a version whose audit was never entered, since the process was killed before.

    Left out are reports of the last hour, which another process may be about to enter, and those of a version that was
    taken over from an earlier release: the ledger names only the last of them.
    """
    of_version = [entry for entry in entries if entry["version"] == str(version.version)]
    if any(entry.kind == "training" and entry["adopted"] for entry in of_version):
        return
    named = {entry["report"] for entry in of_version}
    for folder in kept_reports(store, version):
        if folder.name not in named and is_abandoned(folder.stat().st_mtime):
            yield folder


def keep_report(store: Store, version: Any, report: Path) -> str:
    """Copy a report to the artefacts of a version's run and return its digest."""
    digest = report_digest(report)
    folder = kept_report(store, version, digest)
    with store.errors_as_messages():
        if not (folder.is_dir() and report_digest(folder) == digest):
            private_folder(folder.parent)
            with create_folder(folder, replace=True) as draft:
                shutil.copytree(report, draft, dirs_exist_ok=True)
    return digest


def keep_signature(folder: Path, signature: "Signature") -> None:
    """Write a copy of a signature next to the kept report in `folder`."""
    write_private(folder / _SIGNATURE, _as_text(signature))


def wrong_signature(folder: Path, signature: "Signature") -> Path | None:
    """The copy of a signature in `folder`, where it is missing or another; None where it is that signature."""
    path = folder / _SIGNATURE
    try:
        return None if path.read_bytes() == _as_text(signature).encode() else path
    except OSError:
        return path


def _as_text(signature: "Signature") -> str:
    return signature.model_dump_json(indent=1) + "\n"


def last_report(store: Store, entries: Sequence[DecisionEntry]) -> Path | None:
    """The newest kept report of any version, None where none is kept."""
    return next((folder for _, folder in audited_reports(store, reversed(entries)) if folder.is_dir()), None)


def refuse_changed_report(folder: Path, judged: Judgement) -> None:
    """Refuse a kept report of which a file is not the one that was audited and signed.

    Raises
    ------
    UnverifiedDecisionError
    """
    if judged.audit is None:
        return
    expected: dict[str, str] = json.loads(judged.audit["files"] or "{}")
    if judged.decision is not None:
        expected |= {REPORT: judged.decision["report"], _FIGURES: judged.decision["figures"]}
    elif folder.is_dir():
        expected |= {REPORT: judged.audit["report"]}
    for name, digest in sorted(expected.items()):
        if not (folder / name).is_file() or file_sha256(folder / name) != digest:
            signed = "signed" if judged.decision is not None else "kept at the audit"
            raise UnverifiedDecisionError(
                f"{folder / name}: is not the file that was {signed}. Restore the home from a backup, or "
                "audit the version again."
            )


def _audits(store: Store, version: Any) -> Path:
    return store.home / "mlruns" / str(version.run_id) / "artifacts" / "audits"
