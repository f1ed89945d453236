"""`training/mappings/NAME.toml`: how a foreign extract, and the files joined to it, become the contract's columns."""

import re
import zoneinfo
from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from dnapredict.config.loading import Settings, load, resolved
from dnapredict.errors import ConfigurationError, UsageError


class Join(Settings):
    """A file that is joined by key: `match` maps columns of the extract to columns of the file.

    `path` is relative to the mapping file.
    """

    path: Path
    match: Annotated[dict[str, str], Field(min_length=1)]

    def __hash__(self) -> int:
        """Equal joins share a cached read."""
        return hash((self.path, *self.match.items()))


class Geography(Settings):
    """Where patients live: LSOA by postcode, and deprivation, distance and place by LSOA.

    Attributes
    ----------
    postcode
        The column of the extract, or `NAME.COLUMN` of a joined file, that holds the patient's postcode. It gives the
        LSOA and goes no further.
    postcodes
        The ONS Postcode Directory, or a file with its columns `pcds` and `lsoa21` or `lsoa11`.
    imd
        File 7 of the English Indices of Deprivation as published, or a CSV with its two columns.
    imd_release
        Release of the deciles: "2019" (LSOA 2011) or "2025" (LSOA 2021). By default that of the `imd` file;
        deciles in the extract itself, whose release is then not known, are not used.
    centroids
        LSOA code, latitude and longitude.
    sites
        Site code, latitude and longitude.
    places
        Place of each LSOA, or of each provider: see `places_by`.
    places_by
        The contract column by which a place is looked up.
    """

    postcode: str | None = None
    postcodes: Path | None = None
    imd: Path | None = None
    imd_release: Literal["2019", "2025"] | None = None
    centroids: Path | None = None
    sites: Path | None = None
    places: Path | None = None
    places_by: Literal["lsoa_code", "provider_code"] = "lsoa_code"

    @model_validator(mode="after")
    def _a_postcode_needs_a_directory(self) -> "Geography":
        if (self.postcode is None) != (self.postcodes is None):
            raise ValueError("'postcode' (a column) and 'postcodes' (the ONS Postcode Directory) go together")
        return self

    @model_validator(mode="after")
    def _distance_has_two_ends(self) -> "Geography":
        if (self.centroids is None) != (self.sites is None):
            raise ValueError("a distance needs both 'centroids' and 'sites'")
        return self


# Date cells of a sheet are read as ISO text, whatever the format of text cells in the same column.
# Where the time of day begins in a pattern; the day before it may hold blanks, as in "%d %B %Y".
_CLOCK: Final = re.compile(r"[ T]*%[HI]")
_ISO: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")

JoinName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class ColumnSource(Settings):
    """The source of one contract column.

    Attributes
    ----------
    source
        A column (`from`), or `NAME.COLUMN` of a file that is joined.
    constant
        The same value in every row.
    date, time
        Two columns that together hold a time; `format` is then a pattern of both, with one space between.
    born
        Date of birth, for `age_years`: whole years on the day of the appointment. The date itself is not kept.
    birth_year
        Year of birth, for `age_years`: whole years on the day of the appointment of who was born on 1 July.
    combine
        Columns that are read as one text, with " | " between those that are filled: an outcome from a flag and a
        reason of cancellation.
    row_number
        For `appointment_id`: true for an id from the number of the row. The same appointment has another id in
        another export.
    id_from
        For `appointment_id`: contract columns whose values together are the id, as a hash.
    filled
        True where the column is neither blank nor says no, such as `has_mobile` from a telephone number.
    format
        strptime patterns for times; several are tried in turn. `epoch` and `epoch_ms` are seconds and milliseconds
        from 1 January 1970 UTC.
    translate
        Contract values by source value; any other value passes unchanged, so that the contract rejects it
        under its own rule.
    pseudonymise
        For `patient_id`: true for NHS numbers, "local" for numbers of any other kind.
    """

    source: Annotated[str | None, Field(alias="from")] = None
    constant: str | None = None
    date: str | None = None
    time: str | None = None
    born: str | None = None
    birth_year: str | None = None
    filled: str | None = None
    combine: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    row_number: Literal[True] | None = None
    id_from: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    format: str | tuple[str, ...] = ()
    translate: dict[str, str] = {}
    pseudonymise: bool | Literal["local"] = False

    @model_validator(mode="after")
    def _one_origin(self) -> "ColumnSource":
        of_columns = (self.source, self.date, self.born, self.birth_year, self.filled, self.combine)
        given = (*of_columns, self.constant, self.row_number, self.id_from)
        if sum(origin is not None for origin in given) != 1:
            raise ValueError(
                "needs exactly one of 'from' (a column of the extract), 'constant', 'date' (with 'time'), "
                "'born', 'birth_year', 'filled', 'combine', 'row_number', 'id_from'"
            )
        if (self.date is None) != (self.time is None):
            raise ValueError("'date' and 'time' go together; a column that holds both is 'from'")
        if self.pseudonymise and self.source is None:
            raise ValueError("'pseudonymise' needs 'from'")
        return self

    @property
    def formats(self) -> tuple[str, ...]:
        """The time patterns as a tuple, possibly empty."""
        given = (self.format,) if isinstance(self.format, str) else self.format
        if self.date is None or not given:
            return given
        days = tuple(_CLOCK.split(pattern)[0] for pattern in given)
        return tuple(dict.fromkeys((*given, *days, *_ISO)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it uses: of the extract, or `NAME.COLUMN` of a joined file."""
        drawn = (self.source, self.date, self.time, self.born, self.birth_year, self.filled, *(self.combine or ()))
        return tuple(name for name in drawn if name is not None)


class Mapping(Settings):
    """The whole of a mapping file. An empty one means that the extract has the column names of the contract.

    `files` are parts of the extract, with unique keys; `lookups` are reference tables, in which rows may be
    repeated and keys match whatever their case and spacing.
    """

    description: str = ""
    timezone: str = "Europe/London"
    key_file: Path | None = None
    columns: dict[str, ColumnSource] = {}
    files: dict[JoinName, Join] = {}
    lookups: dict[JoinName, Join] = {}
    geography: Geography = Geography()

    def __hash__(self) -> int:
        """Equal mappings share compiled queries."""
        return hash(self.model_dump_json())

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError("is not a time zone of the IANA database, such as 'Europe/London'")
        return name

    @model_validator(mode="after")
    def _joins_build_on_what_stands_above(self) -> "Mapping":
        twice = self.files.keys() & self.lookups.keys()
        if twice:
            raise ValueError(f"'{min(twice)}' names both a file and a lookup")
        above: set[str] = set()
        for name, join in self.joins.items():
            for column in join.match:
                inside = self.join_of(column)
                if inside and inside not in above:
                    raise ValueError(f"'{name}' is matched by '{column}', so '{inside}' must come before it")
            above.add(name)
        return self

    @property
    def joins(self) -> dict[str, Join]:
        """Files and then lookups, in the order in which they are joined."""
        return self.files | self.lookups

    @property
    def files_read(self) -> dict[str, Path]:
        """Every file that is read in addition to the extract, by its name in the mapping."""
        paths = {name: path for name, path in self.geography if isinstance(path, Path)}
        key = {} if self.key_file is None else {"key_file": self.key_file}
        return {name: join.path for name, join in self.joins.items()} | paths | key

    @property
    def drawn(self) -> frozenset[str]:
        """Every column that the mapping uses, of the extract and (`NAME.COLUMN`) of joined files."""
        return frozenset(self._drawn())

    def _drawn(self) -> Iterator[str]:
        for origin in self.columns.values():
            yield from origin.columns
        for join in self.joins.values():
            yield from join.match
        if self.geography.postcode is not None:
            yield self.geography.postcode

    @property
    def makes_pseudonyms(self) -> bool:
        """Whether patients' numbers are replaced on entry."""
        return "patient_id" in self.columns and bool(self.columns["patient_id"].pseudonymise)

    @property
    def numbers(self) -> Literal["nhs", "local"]:
        """Which kind of numbers they are."""
        return "local" if self.columns["patient_id"].pseudonymise == "local" else "nhs"

    def join_of(self, column: str) -> str | None:
        """The joined file that `column` is of; None for a column of the extract itself."""
        name, dot, _ = column.partition(".")
        return name if dot and name in self.joins else None

    def placed(self, folder: Path, *, files: MappingOf[str, Path], key_file: Path | None) -> "Mapping":
        """This mapping with absolute paths; those in the file are relative to `folder`.

        Raises
        ------
        UsageError
            If a file is given that the mapping does not name.
        """
        unknown = sorted(files.keys() - self.joins.keys())
        if unknown:
            known = ", ".join(self.joins) or "none"
            raise UsageError(f"--file {unknown[0]}: the mapping joins no file of that name (it has: {known}).")

        def join(name: str, joined: Join) -> Join:
            path = resolved(files[name]) if name in files else folder / joined.path
            return joined.model_copy(update={"path": path})

        paths = {name: path and folder / path for name, path in self.geography if isinstance(path, Path)}
        key = resolved(key_file) if key_file else self.key_file and folder / self.key_file
        return self.model_copy(
            update={
                "files": {name: join(name, joined) for name, joined in self.files.items()},
                "lookups": {name: join(name, joined) for name, joined in self.lookups.items()},
                "geography": self.geography.model_copy(update=paths),
                "key_file": key,
            }
        )


IDENTITY = Mapping()


def load_mapping(
    path: Path | None, *, files: MappingOf[str, Path] | None = None, key_file: Path | None = None
) -> Mapping:
    """The mapping in the TOML file `path`, or none at all, with its paths made absolute.

    Parameters
    ----------
    files
        Paths of joined files, by their names in the mapping, in place of those in the file.
    key_file
        The key for pseudonyms, in place of the one in the file.

    Raises
    ------
    ConfigurationError
        If the file is missing or holds something it must not.
    UsageError
        If a file is given that the mapping does not name.
    """
    mapping = IDENTITY if path is None else load(path, Mapping)
    folder = Path.cwd() if path is None else path.resolve().parent
    placed = mapping.placed(folder, files=files or {}, key_file=key_file)
    for name, join in placed.joins.items():
        if not join.path.is_file():
            raise ConfigurationError(f"{path}: '{name}' is to be joined, and there is no file {join.path}.")
    return placed
