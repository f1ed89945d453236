"""The audits of a home's versions: reports kept with their runs, verdict and sign-off as tags."""

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dnapredict.tracking.store import MODEL_NAME, Store

if TYPE_CHECKING:
    from dnapredict.audit.signing import Signature

__all__ = ["keep_report", "kept_report", "last_report", "report_digest", "signed_versions"]

_REPORT: Final = "report.html"


def report_digest(report: Path) -> str:
    """What binds a signature and a version to one report: the SHA-256 of its page."""
    return hashlib.sha256((report / _REPORT).read_bytes()).hexdigest()


def kept_report(store: Store, version: Any) -> Path:
    """Where the report of a version's last audit is kept; there may be none."""
    return _place(store, version, version.tags.get("audit_sha256", "none"))


def keep_report(store: Store, version: Any, report: Path) -> str:
    """Copy a report's folder to the artefacts of a version's run, and give its digest.

    By its place in this home and not by MLflow's address, which stays that of the old home when a home is
    moved or copied.
    """
    digest = report_digest(report)
    with store.sentences():
        shutil.copytree(report, _place(store, version, digest), dirs_exist_ok=True)
    return digest


def _place(store: Store, version: Any, digest: str) -> Path:
    return store.home / "mlruns" / str(version.run_id) / "artifacts" / "audits" / digest


def last_report(store: Store) -> Path | None:
    """The newest kept report of any version, None where none is kept."""
    audited = [version for version in _versions(store) if "audited_at" in version.tags]
    newest_first = sorted(audited, key=lambda version: version.tags["audited_at"], reverse=True)
    kept = (kept_report(store, version) for version in newest_first)
    return next((report for report in kept if report.is_dir()), None)


def signed_versions(store: Store, signature: "Signature") -> tuple[str, ...]:
    """The versions whose last audit is the signed report, about the same model."""
    about = (signature.model_sha256, signature.report_sha256)
    return tuple(
        str(version.version)
        for version in _versions(store)
        if (version.tags.get("manifest_sha256"), version.tags.get("audit_sha256")) == about
    )


def _versions(store: Store) -> list[Any]:
    if not store.has_database():
        return []
    with store.sentences():
        return list(store.client.search_model_versions(f"name='{MODEL_NAME}'"))
