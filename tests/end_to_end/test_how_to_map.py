"""`docs/how-to-map-your-extract.md`, typed as it says, on the Vitória extract."""

import gzip
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to-map-your-extract.md"
VITORIA = ROOT.parent / "shared" / "data" / "vitoria_appointments_2016.csv.gz"

pytestmark = pytest.mark.skipif(not VITORIA.exists(), reason="the Vitória extract is not here: see docs")


def commands() -> list[list[str]]:
    """What the page asks a person to type in its ten minutes, in order."""
    ten_minutes = PAGE.read_text().partition("## What a mapping can say")[0]
    blocks = re.findall(r"```sh\n(.*?)```", ten_minutes, re.DOTALL)
    return [line.split() for block in blocks for line in block.splitlines()]


def test_the_steps_of_the_page_lead_from_a_foreign_extract_to_a_model(
    dnapredict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with gzip.open(VITORIA) as source, Path("noshow.csv").open("wb") as extract:
        shutil.copyfileobj(source, extract)
    draft, check, train = commands()
    assert draft[-2:] == [">", "noshow.toml"]
    drafted = dnapredict(*draft[1:-2])
    assert drafted.returncode == 0, drafted.stderr
    edit = re.search(r"```toml\n(timezone = .*)\n```", PAGE.read_text())
    assert edit
    mapping = re.sub(r"^timezone = .*$", edit.group(1), drafted.stdout, flags=re.MULTILINE)
    Path("noshow.toml").write_text(mapping)

    checked = dnapredict(*check[1:])
    assert checked.returncode == 0, checked.stderr
    told = re.search(r"```\n(noshow.csv: .*?)```", PAGE.read_text(), re.DOTALL)
    assert told
    assert told.group(1) in checked.stderr

    trained = dnapredict(*train[1:])
    assert trained.returncode == 0, trained.stderr
    assert "(27 factors)" in trained.stdout
