"""What stops a version from becoming the champion."""

from typing import Final

from dnapredict.errors import GateFailedError, ModelError

__all__ = ["refuse_unaudited", "refuse_unskilled"]

_FAILED: Final = "FAIL"


def refuse_unskilled(version: str, known: dict[str, str]) -> None:
    """Refuse a version that its training found no better than the base rate: nobody can sign for that."""
    if known.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {known['skill_verdict']}")


def refuse_unaudited(version: str, verdict: str | None, *, signed: bool) -> None:
    """Refuse a version without an audit, and one that failed a gate unless a person signs for it."""
    if verdict is None:
        raise ModelError(
            f"Version {version} was never audited. `dnapredict audit EXTRACT --model {version} --out DIR` "
            "compares how well patients of different groups are reached."
        )
    if verdict == _FAILED and not signed:
        raise GateFailedError(
            f"Version {version} is not promoted: a fairness gate failed. Read the report; the person who "
            "answers for equality may sign for it with --signed-by and --why, which go on record."
        )
