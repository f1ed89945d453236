"""Page 1 with the decision on it, written beside a report once it is signed.

The report itself stays as it was signed: its digest is in the signature.
"""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import SHARED_FILE, write_atomically
from dnapredict.errors import StoreError
from dnapredict.fairness.report.first_page import page_one_of
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.report_folder import FIGURES, SIGNED_PAGE
from dnapredict.fairness.signing import Cosignatory, Signature

_DECISIONS: Final = {"approve": "Approved", "conditions": "Approved with conditions", "reject": "Rejected"}


@dataclass(frozen=True)
class Signer:
    """A person who signed, when and why."""

    name: str
    role: str
    day: str
    reason: str


@dataclass(frozen=True)
class SignedDecision:
    """The decision on a report as page 1 shows it; `seal` is that of its entry in the ledger, "" without one."""

    decision: str
    until: str
    signers: tuple[Signer, ...]
    dissent: str
    figures_sha256: str
    seal: str


def signed_decision(signature: Signature, *, seal: str) -> SignedDecision:
    """The decision in words, with everybody who signed, the first first."""
    return SignedDecision(
        decision=_DECISIONS[signature.decision],
        until=_day(signature.until) if signature.until else "",
        signers=(*map(_signer, signature.also_signed), _signer(signature)),
        dissent=signature.dissent,
        figures_sha256=signature.figures_sha256,
        seal=seal,
    )


def write_signed_page(folder: Path, signature: Signature, *, seal: str) -> Path | None:
    """Write `signed.html` into the folder of a signed report; None for a report of an earlier release.

    Raises
    ------
    StoreError
        If the page cannot be written; the decision is on record all the same.
    """
    figures = json.loads((folder / FIGURES).read_bytes())
    one = page_one_of(figures)
    if one is None:
        return None
    decision = signed_decision(signature, seal=seal)
    first, last = (datetime.date.fromisoformat(day) for day in figures["context"]["window"])
    content = page(
        "signed.html.j2",
        one=one,
        decision=decision,
        context=figures["context"],
        window=(_day(first), _day(last)),
        figures_sha256=decision.figures_sha256,
    )
    path = folder / SIGNED_PAGE
    try:
        with write_atomically(path, mode=SHARED_FILE) as draft:
            draft.write_text(content, encoding="utf-8")
    except StoreError as error:
        raise StoreError(f"{error} The decision is on record; only its page is missing.") from None
    return path


def _signer(one: Cosignatory | Signature) -> Signer:
    return Signer(one.name, one.role, _day(one.signed_at), one.reason)


def _day(date: datetime.date) -> str:
    return f"{date:%-d %B %Y}"
