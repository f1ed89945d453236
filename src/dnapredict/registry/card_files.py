"""Model cards in the home: `models/cards/<version>.md`, with what became of the version since.

The card of a training is kept with its run and never changes. This one begins with its text and ends
with audit, signature, promotion and rollback as they stand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError

CARDS: Final = Path("models") / "cards"
_STANDING: Final = {
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
    """The card of a version as it stands; "" where there is none.

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


def write_card(home: Path, *, version: str, run_id: str, known: Mapping[str, str]) -> Path:
    """Write the card of a version anew from its run's and its tags; the file is whole at any moment."""
    told = (home / "mlruns" / run_id / "artifacts" / "model-card.md").read_text(encoding="utf-8")
    path = home / CARDS / f"{version}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".unfinished")
    draft.write_text(f"{told}\n{_standing(version, known)}", encoding="utf-8")
    draft.replace(path)
    return path


def _standing(version: str, known: Mapping[str, str]) -> str:
    rows = [("Version", version), *((name, known[key]) for key, name in _STANDING.items() if known.get(key))]
    if not known.get("audit_verdict"):
        rows.append(("Fairness audit", "not audited yet"))
    lines = "\n".join(f"| {name} | {_in_a_cell(value)} |" for name, value in rows)
    return f"## Where it stands\n\n|  |  |\n| --- | --- |\n{lines}\n"


def _in_a_cell(text: str) -> str:
    """A person's own words, kept to one cell of the table."""
    return " ".join(text.split()).replace("|", "\\|")
