"""docs/tutorial.ipynb runs from its first cell to its last, and is stored without outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
# Of the tutorial's appointments as many as its sentences need.
MANY, ENOUGH = "appointments=40_000", "appointments=15_000"

# Runs each cell as a notebook does: what its last expression shows is shown.
PROGRAM = """
import ast, json, sys
space = {"__name__": "__main__"}
for number, source in enumerate(json.load(sys.stdin)):
    *body, last = ast.parse(source).body
    shown = isinstance(last, ast.Expr)
    exec(compile(ast.Module(body if shown else [*body, last], []), f"cell {number}", "exec"), space)
    if shown:
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), space)
        print(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
print("verdict:", space["audited"].verdict, "called:", space["scored"].selected, "synthetic:", space["model"].synthetic)
"""


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


def test_every_cell_runs_and_shows_what_the_text_promises(tmp_path: Path):
    assert sum(MANY in source for source in CODE) == 1
    environment = {**os.environ, "TMPDIR": str(tmp_path), "DNAPREDICT_HOME": str(tmp_path / "no home")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([source.replace(MANY, ENOUGH) for source in CODE]),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "verdict: " in done.stdout.splitlines()[-1]
    assert "called: 30 synthetic: True" in done.stdout
    assert "SYNTHETIC" in done.stdout
    assert "Lists may be scored" in done.stdout
    assert not (tmp_path / "no home").exists()
