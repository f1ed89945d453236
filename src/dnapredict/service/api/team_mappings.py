"""The meanings that each team chose for its spreadsheets' columns: one mapping file for each set of column names.

A file is TOML like those in `training/mappings`, so that an analyst can read it, in the folder `mappings/` of the home.
It has the names of columns and codes, and nothing about a patient.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tomli_w

from dnapredict.config.mapping_config import Mapping, load_mapping
from dnapredict.data.contract.known_names import plain
from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.mapping.suggestion import Sources
from dnapredict.errors import DnapredictError, StoreError

_FOLDER: Final = "mappings"
_DIGITS: Final = 32
_LOG: Final = logging.getLogger("dnapredict.service")


@dataclass(frozen=True)
class TeamMappings:
    """The mappings that the teams of a home made."""

    home: Path

    def find(self, team: str, columns: Sequence[str]) -> Mapping | None:
        """The mapping that a team made for a file with these columns; None where it has not made one yet."""
        path = self._path(team, columns)
        if not path.is_file():
            return None
        try:
            mapping = load_mapping(path)
        except DnapredictError as error:  # damaged, or of another release: the team is asked again
            _LOG.error("%s", error)
            return None
        return mapping if mapping.drawn <= set(columns) else None

    def remember(self, team: str, columns: Sequence[str], sources: Sources) -> Mapping:
        """Save the meanings that a team chose for a file with these columns, and return the mapping.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        path = self._path(team, columns)
        content = {"description": f"Lists of {team or 'this service'}", "columns": _without_blanks(sources)}
        write_private(path, tomli_w.dumps(content))
        return load_mapping(path)

    def forget(self, team: str, columns: Sequence[str]) -> None:
        """Remove the mapping of a team for a file with these columns, so that the team is asked again.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        path = self._path(team, columns)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed ({type(error).__name__}).") from None

    def damaged(self) -> Iterator[str]:
        """A sentence for each mapping that cannot be read; its team is asked again."""
        for path in sorted((self.home / _FOLDER).glob("*/*.toml")):
            try:
                load_mapping(path)
            except DnapredictError as error:
                problem = f"{path}: is damaged ({type(error).__name__})."
                yield f"{problem} Remove it: the team is asked again what its columns mean."

    def _path(self, team: str, columns: Sequence[str]) -> Path:
        names = "\n".join(sorted(plain(name) or name for name in columns))
        return self.home / _FOLDER / _digest(team) / f"{_digest(names)}.toml"


def _without_blanks(sources: Sources) -> dict[str, dict[str, object]]:
    return {name: {key: value for key, value in origin.items() if value} for name, origin in sources.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
