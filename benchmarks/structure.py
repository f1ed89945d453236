"""Size and shape of the source: what a new developer has to read, as figures.

Counted from the syntax trees of `src/dnapredict`: files, lines, the largest folder, exported names
(`__all__`), and module or class names that are defined more than once. Traced in a process for each verb:
the files in which `score`, `train` and `audit` call at least one function.

`python -m benchmarks.structure [--untraced]`; the traced part makes a small extract and takes about a minute.
"""

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import dnapredict

SOURCE = Path(dnapredict.__file__).parent
TESTS = Path(__file__).parents[1] / "tests"
APPOINTMENTS = "30000"


def main() -> None:
    """Print the figures and write them to benchmarks/out/structure.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--untraced", action="store_true", help="count only; run no verb")
    parser.add_argument("--trace", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trace:
        trace(Path(options.trace[0]), options.trace[1:])
        return
    figures = {**sizes(), **names()}
    if not options.untraced:
        figures["files entered"] = entered()
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1)
    (out / "structure.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def sizes() -> dict[str, object]:
    """Number of files and lines, the largest folder, and the ratio of test lines to source lines."""
    lines = {path: _lines(path) for path in SOURCE.rglob("*.py")}
    folder, files = Counter(path.parent for path in lines).most_common(1)[0]
    tests = sum(_lines(path) for path in TESTS.rglob("*.py"))
    return {
        "source files": len(lines),
        "source lines": sum(lines.values()),
        "largest folder": f"{folder.relative_to(SOURCE.parent)}: {files} files",
        "test lines / source lines": round(tests / sum(lines.values()), 2),
    }


def names() -> dict[str, object]:
    """Exported names, and names of modules and classes that stand for more than one thing."""
    exported = 0
    meanings: Counter[str] = Counter()
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "risk":  # aliases that models of earlier releases import
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exported += sum(_exports(node) for node in tree.body)
        meanings.update(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        if not path.name.startswith("__"):
            meanings[path.stem] += 1
    repeated = sorted(name for name, count in meanings.items() if count > 1)
    return {"exported names": exported, "names with two meanings": len(repeated), "repeated": repeated}


def entered() -> dict[str, int]:
    """Files in which each verb calls a function, on a small synthetic extract."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        extract, home = str(folder / "extract.parquet"), ["--home", str(folder / "home")]
        steps = {
            "simulate": ["simulate", extract, "--appointments", APPOINTMENTS],
            "train": ["train", extract, *home],
            "audit": ["audit", extract, "--model", "1", "--out", str(folder / "report"), *home],
            "sign": ["sign", str(folder / "report"), "--name", "B. Marks", "--role", "Equality lead",
                     "--decision", "approve", "--reason", "Benchmark of the structure.", *home],
            "promote": ["promote", "1", *home],
            "refresh": ["refresh", extract, *home],
            "score": ["score", extract, "--out", str(folder / "list.xlsx"), *home],
        }  # fmt: skip
        found = {verb: _traced(folder / f"{verb}.json", step) for verb, step in steps.items()}
    return {verb: found[verb] for verb in ("score", "train", "audit")}


def trace(out: Path, arguments: list[str]) -> None:
    """Run a verb in this process and write how many of our files it entered."""
    files: set[str] = set()
    source = str(SOURCE)

    def profile(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(source) and path not in files and not _is_import(frame):
            files.add(path)

    from dnapredict.cli import main as program

    threading.setprofile(profile)
    sys.setprofile(profile)
    sys.argv = ["dnapredict", *arguments]
    try:
        program()
    finally:
        sys.setprofile(None)
        out.write_text(json.dumps(len(files)), encoding="utf-8")


def _is_import(frame: FrameType | None) -> bool:
    """Whether the call is made while one of our modules is imported, by a decorator or a class body for instance."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(str(SOURCE)):
            return True
        frame = frame.f_back
    return False


def _traced(out: Path, arguments: list[str]) -> int:
    command = [sys.executable, __file__, "--trace", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 13}:
        raise RuntimeError(f"{arguments[0]} failed with {done.returncode}: {done.stderr[-2000:]}")
    return int(json.loads(out.read_text(encoding="utf-8")))


def _exports(node: ast.stmt) -> int:
    targets = node.targets if isinstance(node, ast.Assign) else ()
    is_all = any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
    return len(list(_elements(node))) if is_all else 0


def _elements(node: ast.stmt) -> Iterator[ast.expr]:
    value = getattr(node, "value", None)
    yield from getattr(value, "elts", ())


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
