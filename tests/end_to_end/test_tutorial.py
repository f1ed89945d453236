"""docs/tutorial.ipynb runs from its first cell to its last, and is stored without outputs."""

import ast
import json
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
# Of the tutorial's appointments as many as its sentences need.
MANY, ENOUGH = "appointments=40_000", "appointments=15_000"


def run(cells: list[str]) -> dict[str, object]:
    """Run each cell as a notebook does: what its last expression shows is shown. The names that they leave."""
    space: dict[str, object] = {"__name__": "__main__"}
    for number, source in enumerate(cells):
        *body, last = ast.parse(source).body
        shown = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body if shown else [*body, last], []), f"cell {number}", "exec"), space)  # noqa: S102
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), space)  # noqa: S307
            print(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))  # noqa: T201
    return space


def test_it_is_stored_without_outputs():
    assert NOTEBOOK.stat().st_size < 50_000
    assert len(CODE) > 10
    assert [cell for cell in CELLS if cell.get("outputs") or cell.get("execution_count")] == []


def test_it_says_first_that_nobody_is_real_and_what_the_list_is_never_for():
    first = " ".join("".join(CELLS[0]["source"]).split())
    for words in ("Every patient here is made up", "never for overbooking, discharge", "withholding care"):
        assert words in first


def test_every_document_that_it_links_to_exists():
    prose = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    assert "](how-to-map-your-extract.md)" in prose
    assert (NOTEBOOK.parent / "how-to-map-your-extract.md").is_file()


def test_every_cell_runs_and_shows_what_the_text_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert sum(MANY in source for source in CODE) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("DNAPREDICT_HOME", str(tmp_path / "no home"))
    monkeypatch.chdir(tmp_path)
    left = run([source.replace(MANY, ENOUGH) for source in CODE])
    assert left["audited"].verdict
    assert (left["scored"].selected, left["model"].synthetic) == (30, True)
    shown = capsys.readouterr().out
    assert "SYNTHETIC" in shown
    assert "Lists may be scored" in shown
    assert not (tmp_path / "no home").exists()
