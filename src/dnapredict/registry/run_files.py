"""Files of a training in the home: what its run and model hold in `mlruns`, and `models/cards/<version>.md`.

The files of a training never change; the ledger of decisions holds the SHA-256 of each. The card in `models/cards`
repeats the text of the run's card and ends with the current audit, signature, promotion and rollback. It is a copy for
people who read the home: what the page and Python show is made from the card of the run each time.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dnapredict.data.files.digests import file_sha256
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


_RUNS: Final = "mlruns"


def run_digests(home: Path, *, run_id: str, model_id: str) -> str:
    """SHA-256 of each file that a training wrote, by its path in `mlruns`, as the ledger holds it: a JSON object.

    Left out are the card and the stored model, whose digests the ledger holds on their own.
    """
    runs, card = home / _RUNS, run_card(home, run_id)
    run, model = card.parent, runs / "models" / model_id / "artifacts"
    found = [path for folder in (run, model) for path in folder.rglob("*") if path.is_file() and path != card]
    files = sorted(path for path in found if not path.is_relative_to(model / "artifacts"))
    return json.dumps({path.relative_to(runs).as_posix(): file_sha256(path) for path in files})


def changed_run_files(home: Path, digests: str) -> Iterator[Path]:
    """The files that are missing or not as the training wrote them; none for a training of an earlier release."""
    for name, digest in json.loads(digests or "{}").items():
        path = home / _RUNS / name
        if not path.is_file() or file_sha256(path) != digest:
            yield path


def run_card(home: Path, run_id: str) -> Path:
    """The file of the card that was written at the training."""
    return home / _RUNS / run_id / "artifacts" / "model-card.md"


def card_of(home: Path, *, version: str, run_id: str, tags: Mapping[str, str], sha256: str) -> str:
    """The current card of a version: the card of its run and its current tags; "" where the run has none.

    Parameters
    ----------
    sha256
        Of the card of the run; "" for a training of an earlier release, which is believed.

    Raises
    ------
    StoreError
        If the card of the run cannot be read, is missing or was changed.
    """
    path = run_card(home, run_id)
    try:
        if sha256 and not (path.is_file() and file_sha256(path) == sha256):
            raise StoreError(
                f"{path}: the model card is missing, or not as written when version {version} was trained. Restore it "
                "from a backup. No risk depends on it."
            )
        return f"{path.read_text(encoding='utf-8')}\n{_status_table(version, tags)}"
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None


def copy_of_card(home: Path, version: str) -> Path:
    """The copy of a version's current card."""
    return home / CARDS / f"{version}.md"


def is_copied_as(home: Path, version: str, card: str) -> bool:
    """Whether the copy of a version's card is that text."""
    try:
        return copy_of_card(home, version).read_bytes() == card.encode()
    except OSError:
        return False


def _status_table(version: str, tags: Mapping[str, str]) -> str:
    rows = [("Version", version), *((name, tags[key]) for key, name in _STATUS_ROWS.items() if tags.get(key))]
    if not tags.get("audit_verdict"):
        rows.append(("Fairness audit", "not audited yet"))
    # Free text is escaped to stay within its cell of the table.
    cells = [(name, " ".join(value.split()).replace("|", "\\|")) for name, value in rows]
    lines = "\n".join(f"| {name} | {value} |" for name, value in cells)
    return f"## Status\n\n|  |  |\n| --- | --- |\n{lines}\n"
