"""What stops a version from becoming the champion: no skill, no audit, a failed gate, a reviewer's no."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnapredict.errors import GateFailedError, ModelError, StoreError

if TYPE_CHECKING:
    from dnapredict.audit.signing import Signature

__all__ = ["refuse_against_audit", "refuse_unskilled"]

_FAILED: Final = "FAIL"


def refuse_unskilled(version: str, known: Mapping[str, str]) -> None:
    """Refuse a version without skill, and one whose figures are too good: nobody can sign for that."""
    if known.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {known['skill_verdict']}")
    if known.get("leak_alarm"):
        raise ModelError(f"Version {version} is not promoted. {known['leak_alarm']}")


def refuse_against_audit(version: str, known: Mapping[str, str], *, report: Path) -> None:
    """Refuse a version without an audit, a rejected one, and one that failed and is not signed for.

    Parameters
    ----------
    known
        The version's tags.
    report
        Where the report of its last audit is kept, with the signature where it was signed.
    """
    if "audit_verdict" not in known:
        raise ModelError(
            f"Version {version} was never audited. `dnapredict audit EXTRACT --model {version} --out DIR` "
            "compares how well patients of different groups are reached."
        )
    signature = _decision_on(report, known)
    if signature is None and known.get("signed_decision"):
        raise StoreError(
            f"{report}: the signature that the registry tells of is not there. Restore the home."
        )
    if signature is not None and not signature.allows_use:
        raise GateFailedError(
            f"Version {version} is not promoted: {signature.name} ({signature.role}) rejected it on "
            f"{signature.signed_at:%d %B %Y}. Reason: {signature.reason}"
        )
    if known["audit_verdict"] == _FAILED and signature is None:
        raise GateFailedError(
            f"Version {version} is not promoted: a fairness gate failed. Read the report; the person who "
            "answers for equality may sign it (`dnapredict sign REPORT_DIR --decision conditions`) with a "
            "reason, which goes on record."
        )


def _decision_on(report: Path, known: Mapping[str, str]) -> "Signature | None":
    """The signature on the kept report, once it is on this version's model and last audit."""
    from dnapredict.audit.signing import signature_of  # with it come libraries that take seconds

    signature = signature_of(report)
    if signature is None:
        return None
    about = (signature.report_sha256, signature.model_sha256)
    if about != (known.get("audit_sha256"), known.get("manifest_sha256")):
        raise StoreError(f"{report}: the signature is on another report or model than this version's.")
    return signature
