"""What one audit over several trusts refuses, as a table for the care board.

Each line changes one thing of the second of two files of counts that could be pooled.
"""

import dataclasses
import json
from pathlib import Path

import pytest
from tests.property.test_audit_counts import POLICY, counted, parts
from tests.property.test_audit_pool import provenance

from dnapredict.data.files.digests import FIRST_SEAL, entry_seal
from dnapredict.errors import ConfigurationError, DataError, UsageError
from dnapredict.fairness.pooling.counts_file import TrustCounts, write_counts
from dnapredict.fairness.pooling.pooled_audit import read_pool

KEY = b"0" * 64
PROVENANCE = """
    of the second file | is                          | answer
    trust              | Trust B                     | pooled
    trust              | trust a                     | data: is of the same trust as a.counts.json
    data_sha256        | data of Trust A             | data: is of the same extract as a.counts.json
    policy_sha256      | another                     | configuration: was counted under another policy
    model              | another                     | data: is of another model or product than a.counts.json
    capacity           | 50 appointments a week      | data: is of another number of calls than a.counts.json
    allocation         | floor                       | data: is of another rule by which calls are allocated
    contract_sha256    | another                     | data: was counted by a release that groups people otherwise
    protect            | suppressed                  | data: is of another protection of small numbers
    window             | ("2024-01-01","2024-12-31") | pooled
    code_revision      | another                     | pooled
"""
# What was done to the second file after it was written.
EDITS = """
    edit                                         | answer
    none                                         | pooled
    indented otherwise                           | pooled
    an appointment fewer                         | data: b.counts.json: was changed since
    another name                                 | data: b.counts.json: was changed since
    another packed number                        | data: b.counts.json: was changed since
    cut in half                                  | data: b.counts.json: is not a file of counts
    a report's figures                           | data: b.counts.json: is not a file of counts
    a list of numbers                            | data: b.counts.json: is not a file of counts
    sealed again by whoever edited it            | pooled
    sealed again, without the key                | data: b.counts.json: was changed since it was written, or is sealed
    not sealed with the key that the others have | data: b.counts.json: is not sealed with a key
    sealed with a key that is not given          | data: b.counts.json: is sealed with a key
"""
ERRORS = {"data": DataError, "configuration": ConfigurationError, "usage": UsageError}


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]


@pytest.fixture(scope="module")
def two_trusts() -> list:
    return [counted(table) for table in parts(2, 1, [set(), set()])]


def answer_of(folder: Path, answer: str, *, key: bytes = b"") -> tuple[TrustCounts, ...]:
    if answer == "pooled":
        return read_pool(folder, policy=POLICY, key=key)
    kind, _, words = answer.partition(": ")
    with pytest.raises(ERRORS[kind]) as refusal:
        read_pool(folder, policy=POLICY, key=key)
    assert words in str(refusal.value)
    return ()


@pytest.mark.parametrize(("field", "value", "answer"), lines(PROVENANCE))
def test_only_files_of_one_audit_are_pooled(tmp_path: Path, two_trusts: list, field: str, value: str, answer: str):
    content = tuple(json.loads(f"[{value.strip('()')}]")) if value.startswith("(") else value
    second = dataclasses.replace(provenance("Trust B"), **{field: content})
    write_counts(tmp_path / "a.counts.json", provenance("Trust A"), two_trusts[0])
    write_counts(tmp_path / "b.counts.json", second, two_trusts[1])
    found = answer_of(tmp_path, answer)
    assert len(found) == (2 if answer == "pooled" else 0)


def edited(path: Path, edit: str) -> None:
    text = path.read_text()
    content = json.loads(text)
    group = content["counts"]["counted"]["items"][1][1]
    if edit == "an appointment fewer":
        group["appointments"][0] -= 1
    elif edit == "another name":
        content["provenance"]["trust"] = "Trust C"
    elif edit.startswith("another packed number"):
        group["totals"]["data"] = group["rows"]["data"][::-1]
    elif edit == "a report's figures":
        content = {"schema": 1, "verdict": "PASS"}
    elif edit == "a list of numbers":
        content = [1, 2, 3]
    path.write_text(text[: len(text) // 2] if edit == "cut in half" else json.dumps(content))


@pytest.mark.parametrize(("edit", "answer"), lines(EDITS))
def test_an_edited_file_is_refused(tmp_path: Path, two_trusts: list, edit: str, answer: str):
    is_keyed = "key" in edit
    key = b"" if "not given" in edit else KEY if is_keyed else b""
    write_counts(tmp_path / "a.counts.json", provenance("Trust A"), two_trusts[0], key=key)
    path = tmp_path / "b.counts.json"
    second = b"" if "not sealed with" in edit else KEY if is_keyed else b""
    write_counts(path, provenance("Trust B"), two_trusts[1], key=second)
    if edit.startswith("sealed again"):
        sealed_again(path)
    elif not is_keyed:
        edited(path, edit)
    answer_of(tmp_path, answer, key=key)


def sealed_again(path: Path) -> None:
    """What somebody can do who knows the program and not the key."""
    content = json.loads(path.read_text())
    content["provenance"]["trust"] = "Trust C"
    content["seal"] = entry_seal([content["provenance"], content["counts"]], previous=FIRST_SEAL)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_files_of_counts_is_refused(tmp_path: Path, exists: bool):
    folder = tmp_path if exists else tmp_path / "nowhere"
    (tmp_path / "notes.txt").write_text("Nothing here.")
    words = "holds no file of counts" if exists else "is not a folder"
    with pytest.raises(UsageError, match=words):
        read_pool(folder, policy=POLICY)


def test_one_trust_alone_is_its_own_audit(tmp_path: Path, two_trusts: list):
    write_counts(tmp_path / "a.counts.json", provenance("Trust A"), two_trusts[0])
    assert [one.provenance.trust for one in read_pool(tmp_path, policy=POLICY)] == ["Trust A"]
