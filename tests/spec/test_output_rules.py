"""What `score` may replace: a worklist that nobody has changed, and nothing else. For operations.

Each line is a file that has the name of the output before a list is scored. `as written` means that this home wrote
it and nobody has changed it since.
"""

from pathlib import Path

import pytest

from dnapredict.worklist.files.worklist_files import WrittenWorklists

BEFORE = """
    at the name of the output                | what becomes of it
    the worklist as written                  | replaced
    a worklist into which somebody typed     | kept
    a worklist of another home               | kept
    a file that is no worklist               | kept
    a worklist, and the home's notes are lost| kept
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]


def prepared(home: Path, out: Path, before: str) -> WrittenWorklists:
    """The notes of a home, and the file that is at `out` before the next list is scored."""
    notes = WrittenWorklists(home)
    out.write_bytes(b"worklist")
    if before == "a file that is no worklist":
        return notes
    (WrittenWorklists(home.parent / "another") if "another home" in before else notes).note(out)
    if "typed" in before:
        out.write_bytes(b"worklist, rebooked")
    if "lost" in before:
        for file in (home / "lists").iterdir():
            file.write_bytes(b"{")
    return notes


@pytest.mark.parametrize("published", [False, True])
def test_a_worklist_is_recognised_after_a_kill_between_noting_and_publishing_it(published: bool, tmp_path: Path):
    out, draft, notes = tmp_path / "worklist.xlsx", tmp_path / "draft", WrittenWorklists(tmp_path / "home")
    out.write_bytes(b"of last week")
    notes.note(out)
    for content in (b"of this week", b"of this week, with one more patient"):  # and killed a second time
        draft.write_bytes(content)
        notes.note(out, draft=draft)
    if published:
        draft.replace(out)
    assert notes.keep_changed(out) is None
    out.write_bytes(b"of this week, rebooked")
    assert notes.keep_changed(out) is not None


@pytest.mark.parametrize(("before", "becomes"), lines(BEFORE))
def test_only_a_worklist_that_nobody_has_changed_is_replaced(before: str, becomes: str, tmp_path: Path):
    out = tmp_path / "worklist.xlsx"
    notes = prepared(tmp_path / "home", out, before)
    content = out.read_bytes()
    other = notes.keep_changed(out)
    if becomes == "replaced":
        assert other is None
        return
    assert other is not None
    assert other.name.startswith("worklist.kept-")
    assert other.read_bytes() == content
    assert notes.keep_changed(out) == other  # and not a second time
