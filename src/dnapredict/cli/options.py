"""Options that several verbs share, and the objects that they are read into."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnapredict.cli.messages import say
from dnapredict.config.home import DEFAULT_HOME, HOME_VARIABLE, home_folder
from dnapredict.errors import UsageError

if TYPE_CHECKING:
    from dnapredict.config.training_config import Setting


Extract = Annotated[Path, typer.Argument(help="CSV, CSV.GZ, XLSX or Parquet with one row for each appointment.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="TOML that maps the file's columns to the contract.")
]
JoinedFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        metavar="NAME=PATH",
        help="Path of a file that the mapping joins, in place of its own; may be repeated.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="Key for patients' pseudonyms; keep it apart from the data."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML like training/config.toml, which is the default.")
]
ServiceFile = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML like serving/service.toml, which is the default."),
]
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar=HOME_VARIABLE,
        help="Folder of models, runs, history and lists.",
        show_default=True,
    ),
]
EarlierLists = Annotated[
    list[Path] | None,
    typer.Option(
        "--list",
        help="A list as it was before its appointments, mapped as EXTRACT is, to find columns of EXTRACT that have "
        "changed with the outcome; may be repeated.",
    ),
]


_Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory that the command may hold, such as 4GB; the rest goes to the temporary folder. By default half of "
        "the machine's.",
    ),
]


def takes_memory(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with the option `--memory`, which the engines of this process and of those that it starts read."""

    @functools.wraps(verb)
    def run(*given: object, memory: str | None = None, **named: object) -> None:
        if memory is not None:
            from dnapredict.data.engine.duckdb_engine import MEMORY_VARIABLE, memory_in_mb

            memory_in_mb(memory)
            os.environ[MEMORY_VARIABLE] = memory
        verb(*given, **named)

    signature = inspect.signature(verb)
    option = inspect.Parameter("memory", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Memory)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    run.__annotations__ = {**verb.__annotations__, "memory": _Memory}
    return run


class EngineName(StrEnum):
    """The engine that computes a verb."""

    DUCKDB = "duckdb"
    SPARK = "spark"


ComputeEngine = Annotated[
    EngineName, typer.Option(help="spark for tables that one machine does not hold (extra 'spark', Java 17).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
HOME = DEFAULT_HOME


def home_option(home: Path) -> Path:
    """The absolute path of the home, which is also printed.

    Raises StoreError if it is a file.
    """
    folder = home_folder(home)
    say(f"Home: {folder}")
    return folder


def setting_of(
    mapping: Path | None,
    config: Path | None,
    *,
    files: list[str] | None = None,
    key_file: Path | None = None,
) -> "Setting":
    """The mapping and the configuration that the options name, or the defaults.

    Raises ConfigurationError for a file that cannot be read or is not valid, and UsageError for a
    `files` entry that is not NAME=PATH.
    """
    from dnapredict.config.loading import load
    from dnapredict.config.mapping_config import load_mapping
    from dnapredict.config.training_config import Setting, TrainingConfig

    return Setting(
        mapping=load_mapping(mapping, files=named_files(files), key_file=key_file),
        config=load(config, TrainingConfig) if config else None,
    )


def require_apart(setting: "Setting", *, outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Refuse an output that is also an input: one of `inputs`, or a file that the mapping names.

    Raises UsageError before anything is written.
    """
    from dnapredict.data.files import atomic_write

    named = {f"the file '{name}' of the mapping": path for name, path in setting.mapping.files_read.items()}
    atomic_write.require_apart(outputs, {**inputs, **named})


def named_files(files: list[str] | None) -> dict[str, Path]:
    """Paths of joined files by name, from `--file NAME=PATH`.

    Raises UsageError for an entry that is not NAME=PATH.
    """
    return dict(map(_named_file, files or ()))


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--file {text}: expected NAME=PATH, such as patients=patients.csv.")
    return name, Path(path)
