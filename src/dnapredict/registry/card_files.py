"""Model cards in the home: `models/cards/<version>.md`, with the current status of the version.

The card of a training is kept with its run and never changes. This one repeats its text and ends with the
current audit, signature, promotion and rollback.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.errors import StoreError

CARDS: Final = Path("models") / "cards"
_STATUS_ROWS: Final = {
    "audit_verdict": "Fairness audit",
    "audited_at": "Audited at",
    "audit_sha256": "Report SHA-256",
    "signed_decision": "Reviewer's decision",
    "signed_by": "Signed by",
    "signed_role": "Role",
    "signed_at": "Signed at",
    "signed_reason": "Reason",
    "promoted_at": "Promoted to champion at",
    "promoted_by": "Promoted by",
    "promoted_why": "Reason for promoting",
    "champion_before": "Champion before",
    "rolled_back_at": "Rolled back at",
    "rolled_back_by": "Rolled back by",
    "rolled_back_why": "Reason for going back",
    "rolled_back_to": "Champion after",
}


def card_of(home: Path, *, version: str) -> str:
    """The current card of a version; "" where there is none.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    path = home / CARDS / f"{version}.md"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None


def write_card(home: Path, *, version: str, run_id: str, tags: Mapping[str, str]) -> Path:
    """Write the card of a version from the card of its run and its current tags."""
    card = (home / "mlruns" / run_id / "artifacts" / "model-card.md").read_text(encoding="utf-8")
    path = home / CARDS / f"{version}.md"
    write_private(path, f"{card}\n{_status_table(version, tags)}")
    return path


def _status_table(version: str, tags: Mapping[str, str]) -> str:
    rows = [("Version", version), *((name, tags[key]) for key, name in _STATUS_ROWS.items() if tags.get(key))]
    if not tags.get("audit_verdict"):
        rows.append(("Fairness audit", "not audited yet"))
    # Free text is escaped to stay within its cell of the table.
    cells = [(name, " ".join(value.split()).replace("|", "\\|")) for name, value in rows]
    lines = "\n".join(f"| {name} | {value} |" for name, value in cells)
    return f"## Status\n\n|  |  |\n| --- | --- |\n{lines}\n"
