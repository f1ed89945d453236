"""Options that several verbs share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnapredict.cli.telling import say

if TYPE_CHECKING:
    from dnapredict.config.setting import Setting

__all__ = [
    "HOME",
    "AsJson",
    "ConfigFile",
    "Extract",
    "Home",
    "MappingFile",
    "absolute",
    "setting_of",
]

Extract = Annotated[Path, typer.Argument(help="CSV, CSV.GZ, XLSX or Parquet, one row an appointment.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="TOML that maps the file's columns to the contract.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML like training/config.toml, which is the default.")
]
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="DNAPREDICT_HOME",
        help="Folder of models, runs, history and lists.",
        show_default=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
HOME = Path(".dnapredict")


def absolute(home: Path) -> Path:
    """The home as an absolute path, told to the person, so that nobody wonders where things went."""
    place = home.expanduser().resolve()
    say(f"Home: {place}")
    return place


def setting_of(mapping: Path | None, config: Path | None) -> "Setting":
    """The mapping and the configuration that a person named, or what is shipped.

    Raises ConfigurationError for a file that holds something it must not.
    """
    from dnapredict.config.loading import load
    from dnapredict.config.mapping import IDENTITY, Mapping
    from dnapredict.config.setting import Setting
    from dnapredict.config.training import TrainingConfig

    return Setting(
        mapping=load(mapping, Mapping) if mapping else IDENTITY,
        config=load(config, TrainingConfig) if config else None,
    )
