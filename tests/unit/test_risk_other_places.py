"""A stored model elsewhere: damaged on disk, on another Python, in rows of another order."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.end_to_end.conftest import command
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.errors import ModelError
from dnapredict.model.artefact import load, save
from dnapredict.model.fit.training import Training, train
from dnapredict.registry import Registry

# Interpreters with dnapredict installed, beside the one that runs the tests.
OTHERS = [path for path in os.environ.get("DNAPREDICT_OTHER_PYTHONS", "").split(os.pathsep) if path]
SCORE = """
import json, sys
from pathlib import Path
import numpy as np
from dnapredict.model.artefact import load
stored = load(Path(sys.argv[1]))
matrix = np.load(sys.argv[2])
risks = [risk.hex() for risk in stored.model.probability(matrix).tolist()]
values = stored.model.contributions(matrix).round(9).tolist()
print(json.dumps({"risks": risks, "values": values}))
"""


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture
def folder(training: Training, tmp_path: Path) -> Path:
    save(training.model, tmp_path / "model", provenance=PROVENANCE, specimens=training.specimens)
    return tmp_path / "model"


def damages(content: bytes) -> dict[str, bytes]:
    """What befalls files: cut short by a full disk, edited by hand, another file, a flipped bit."""
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut after a line": content[: content.rfind(b"\n", 0, middle) + 1],
        "cut within a number": content[:middle],
        "edited": content.replace(b"leaf_value", b"leaf_valve", 1).replace(b'"slope"', b'"slop"', 1)[:-1],
        "one bit flipped": content[:middle] + bytes([content[middle] ^ 0b1000]) + content[middle + 1 :],
        "zeros": bytes(len(content)),
        "a pickle": b"\x80\x04cos\nsystem\n",
        "binary": os.urandom(4_096),
    }


@pytest.mark.cases(1)
@pytest.mark.parametrize("name", ["model.txt", "calibration.json", "manifest.json"])
def test_no_damage_to_a_registered_model_ends_the_process(training, folder, tmp_path, name):
    """LightGBM ends the whole process on some such texts; that this test ends at all is the proof."""
    registry = Registry(tmp_path / "home")
    registry.register(folder, training)
    path = registry.folder("1") / name
    whole = path.read_bytes()
    for content in damages(whole).values():
        path.write_bytes(content)
        with pytest.raises(ModelError):
            load(registry.folder("1"))
    path.write_bytes(whole)
    load(registry.folder("1"))


def test_a_damaged_model_whose_hashes_were_mended_is_not_the_registered_one(training, folder, tmp_path):
    import hashlib

    registry = Registry(tmp_path / "home")
    registry.register(folder, training)
    place = registry.folder("1")
    text = place / "model.txt"
    text.write_bytes(text.read_bytes()[:900])
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["files"]["model.txt"] = hashlib.sha256(text.read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest, indent=2))
    with pytest.raises(ModelError, match="does not hold the model that was registered"):
        registry.folder("1")


@pytest.mark.cases(1)
@pytest.mark.parametrize("damage", ["cut after a line", "zeros"])
def test_the_command_says_it_in_a_sentence_and_exits_with_12(training, folder, tmp_path, damage):
    home = tmp_path / "home"
    registry = Registry(home)
    registry.register(folder, training)
    registry.set_audit("1", verdict="PASS", digest="1" * 64)
    registry.promote("1")
    path = registry.folder("1") / "model.txt"
    path.write_bytes(damages(path.read_bytes())[damage])
    (tmp_path / "list.csv").write_text("appointment_id\n1\n")
    words = ["score", tmp_path / "list.csv", "--out", tmp_path / "out.csv", "--model", "1", "--home", home]
    done = command(*words)
    assert done.returncode == 12, done.stderr
    assert "the model is damaged" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("python", OTHERS)
def test_another_python_gives_the_same_risks_to_the_last_bit(training, folder, tmp_path, python):
    matrix = world(500, seed=4).matrix
    matrix[::9, 0] = np.nan
    np.save(tmp_path / "matrix.npy", matrix)
    done = subprocess.run(
        [python, "-c", SCORE, str(folder), str(tmp_path / "matrix.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["risks"] == [risk.hex() for risk in training.model.probability(matrix).tolist()]
    np.testing.assert_allclose(told["values"], training.model.contributions(matrix), atol=1e-8)


@pytest.mark.skipif(bool(OTHERS), reason="there are others")
def test_other_pythons_are_named_where_they_are_to_be_tried():
    pytest.skip("set DNAPREDICT_OTHER_PYTHONS to interpreters with dnapredict, to score with them too")


def test_rows_in_another_order_have_the_same_risks_and_reasons(training):
    matrix = world(1_000, seed=5).matrix
    order = np.random.default_rng(0).permutation(len(matrix))
    assert (training.model.probability(matrix[order]) == training.model.probability(matrix)[order]).all()
    shuffled, straight = (training.model.contributions(rows) for rows in (matrix[order], matrix))
    np.testing.assert_array_equal(shuffled, straight[order])
