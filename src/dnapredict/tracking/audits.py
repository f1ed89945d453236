"""The reports of a home's audits, kept with the runs of their versions, and the signatures on them."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dnapredict.errors import ModelError, StoreError
from dnapredict.tracking.decisions import Entry
from dnapredict.tracking.promotion import Judgement
from dnapredict.tracking.store import Store

if TYPE_CHECKING:
    from dnapredict.audit.signing import Signature

__all__ = [
    "REPORT",
    "keep_report",
    "keep_signature",
    "kept_report",
    "kept_reports",
    "last_report",
    "refuse_changed_report",
    "report_digest",
]

REPORT: Final = "report.html"
_FIGURES: Final = "audit.json"
_SIGNATURE: Final = "signature.json"


def report_digest(report: Path) -> str:
    """What binds a signature and a version to one report: the SHA-256 of its page."""
    return _sha256(report / REPORT)


def kept_report(store: Store, version: Any, digest: str) -> Path:
    """Where the report with that digest is kept for a version; there may be none.

    By its place in this home and not by MLflow's address, which stays that of the old home when a home is
    moved or copied.
    """
    return _audits(store, version) / digest


def kept_reports(store: Store, version: Any) -> Iterator[Path]:
    """The folders of all reports that are kept for a version."""
    return (path.parent for path in sorted(_audits(store, version).glob(f"*/{REPORT}")))


def keep_report(store: Store, version: Any, report: Path) -> str:
    """Copy a report to the artefacts of a version's run, whole or not at all, and give its digest."""
    digest = report_digest(report)
    place = kept_report(store, version, digest)
    with store.sentences():
        if not (place.is_dir() and report_digest(place) == digest):
            draft = place.with_name(f".{digest}.part")
            for old in (draft, place):
                shutil.rmtree(old, ignore_errors=True)
            shutil.copytree(report, draft)
            draft.rename(place)
    return digest


def keep_signature(folder: Path, signature: "Signature") -> None:
    """Put a copy of a signature beside the kept report in `folder`."""
    draft = folder / f".{_SIGNATURE}.part"
    draft.write_text(signature.model_dump_json(indent=1) + "\n", encoding="utf-8")
    os.replace(draft, folder / _SIGNATURE)


def last_report(store: Store, entries: Sequence[Entry]) -> Path | None:
    """The newest kept report of any version, None where none is kept."""
    for entry in reversed(entries):
        if entry.kind != "audit":
            continue
        try:
            kept = kept_report(store, store.found(entry["version"]), entry["report"])
        except ModelError:  # the version was deleted in MLflow
            continue
        if kept.is_dir():
            return kept
    return None


def refuse_changed_report(folder: Path, found: Judgement) -> None:
    """Refuse a kept report that is not the one that was audited and signed.

    Raises
    ------
    StoreError
    """
    expected = {}
    if found.decision is not None:
        expected = {REPORT: found.decision["report"], _FIGURES: found.decision["figures"]}
    elif found.audit is not None and folder.is_dir():
        expected = {REPORT: found.audit["report"]}
    for name, digest in expected.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            signed = "signed" if found.decision is not None else "kept at the audit"
            raise StoreError(
                f"{folder / name}: is not the file that was {signed}. Restore the home from a backup, or "
                "audit the version again."
            )


def _audits(store: Store, version: Any) -> Path:
    return store.home / "mlruns" / str(version.run_id) / "artifacts" / "audits"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
