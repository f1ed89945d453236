"""The file in which a trust's counts leave it: provenance, counts, and a seal over both."""

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.digests import FIRST_SEAL, entry_seal
from dnapredict.data.files.drafts import PRIVATE_FILE
from dnapredict.errors import DataError
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import BINS, SUMS
from dnapredict.fairness.measure.groupings import GROUPINGS, PLACE_GROUPINGS
from dnapredict.fairness.measure.pair_counts import BAND_ENDS, MEASURES
from dnapredict.fairness.pooling.counts_codec import CodecError, from_json, to_json

_FORMAT: Final = "dnapredict audit counts"
_MOST_BYTES: Final = 500_000_000
SUFFIX: Final = ".counts.json"


@dataclass(frozen=True)
class CountsProvenance:
    """Where a trust's counts are from; files are pooled only where all but the trust, data and days agree.

    Attributes
    ----------
    model
        Digest of the model, or the file name of another product's scores, which says product and version.
    contract_sha256
        Digest of what is counted: the groupings and their groups, and the sums.
    outcomes
        The outcome codes that count as missed.
    window
        First and last day, as 2025-04-01.
    rows_expected
        Attended and missed appointments of the extract, so that a dropped row is noticed.
    """

    trust: str
    policy_sha256: str
    contract_sha256: str
    model: str
    model_version: str
    model_sha256: str
    data_sha256: str
    capacity: str
    allocation: str
    outcomes: tuple[str, ...]
    window: tuple[str, str]
    code_revision: str
    synthetic: bool
    rows_expected: int | None
    created_at: str
    protect: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrustCounts:
    """A trust's counts with their provenance, and the file that they are from."""

    source: str
    provenance: CountsProvenance
    counts: AuditCounts
    is_keyed: bool = False


def policy_digest(policy: Policy) -> str:
    """Digest of everything in a policy that decides a verdict or what is printed."""
    return _digest(policy.model_dump(mode="json", exclude={"pooling", "changes", "signatories", "owners"}))


def contract_digest() -> str:
    """Digest of what this release counts: counts of releases that differ in it do not add up."""
    groupings = [[one.name, one.column, [group.code for group in one.groups]] for one in (*GROUPINGS, *PLACE_GROUPINGS)]
    return _digest([groupings, SUMS, BINS, MEASURES, BAND_ENDS])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_counts(path: Path, provenance: CountsProvenance, counts: AuditCounts, *, key: bytes = b"") -> Path:
    """Write the file of counts, whole or not at all, for its owner alone.

    Without `key` the seal is a digest, by which a damaged file or a careless edit is noticed; with one nobody can make
    it without the key.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    # As it will be read: a tuple becomes a list.
    content = json.loads(json.dumps({"provenance": dataclasses.asdict(provenance), "counts": to_json(counts)}))
    text = {"format": _FORMAT, "keyed": bool(key), "seal": _seal(content, key), **content}
    with write_atomically(path, mode=PRIVATE_FILE) as draft:
        draft.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _seal(content: Mapping[str, Any], key: bytes) -> str:
    return entry_seal([content["provenance"], content["counts"]], previous=FIRST_SEAL, key=key)


def read_counts(path: Path, *, key: bytes = b"") -> TrustCounts:
    """The counts in a file.

    Raises
    ------
    DataError
        If it is not a file of counts, was changed since it was written, or is not sealed with `key`.
    """
    content = _content(path)
    if key and content["keyed"] is not True:
        raise DataError(f"{path.name}: is not sealed with a key. Make it again with `audit-counts --seal-key`.")
    if content["keyed"] is True and not key:
        raise DataError(f"{path.name}: is sealed with a key. Give the same key with --seal-key.")
    if not hmac.compare_digest(str(content["seal"]), _seal(content, key)):
        was = "was changed since it was written, or is sealed with another key" if key else "was changed since"
        raise DataError(f"{path.name}: {was}. Ask the trust for the file as `audit-counts` wrote it.")
    try:
        provenance = content["provenance"]
        lists = {name: tuple(provenance[name]) for name in ("outcomes", "window", "unknown")}
        found = CountsProvenance(**{**provenance, **lists})
        if found.contract_sha256 != contract_digest():
            raise DataError(
                f"{path.name}: was counted by a release that groups people otherwise ({found.code_revision}). Use the "
                "same release of dnapredict in every trust and here."
            )
        counts = from_json(content["counts"])
    except (CodecError, KeyError, TypeError):
        raise DataError(f"{path.name}: {_NOT_COUNTS}") from None
    if not isinstance(counts, AuditCounts):
        raise DataError(f"{path.name}: {_NOT_COUNTS}")
    return TrustCounts(path.name, found, counts, is_keyed=bool(key))


_NOT_COUNTS: Final = "is not a file of counts. Make one with `dnapredict audit-counts`."


def _content(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size if path.is_file() else _MOST_BYTES + 1
        content = json.loads(path.read_bytes()) if size <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{path.name}: {_NOT_COUNTS}")
    if not {"keyed", "seal", "provenance", "counts"} <= content.keys() or not isinstance(content["provenance"], dict):
        raise DataError(f"{path.name}: {_NOT_COUNTS}")
    return content
