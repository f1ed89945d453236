"""What a mapping reads beside an extract: files that are joined by key, and where patients live."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dnapredict.config.loading import Settings

__all__ = ["Geography", "Join"]


class Join(Settings):
    """Another file whose rows are found by key: `match` says which of our columns equals which of its.

    `path` is relative to the mapping file.
    """

    path: Path
    match: Annotated[dict[str, str], Field(min_length=1)]

    def __hash__(self) -> int:
        """Equal joins share what is read for them."""
        return hash((self.path, *self.match.items()))


class Geography(Settings):
    """Where patients live: deprivation and distance by LSOA.

    Attributes
    ----------
    imd
        File 7 of the English Indices of Deprivation as published, or a CSV with its two columns.
    imd_release
        Which release the deciles are of: "2019" (LSOA 2011) or "2025" (LSOA 2021). Where it is not
        said, that of the `imd` file, and the extract's own deciles, whose release nobody knows, are
        then left aside.
    centroids
        LSOA code, latitude and longitude.
    sites
        Site code, latitude and longitude.
    """

    imd: Path | None = None
    imd_release: Literal["2019", "2025"] | None = None
    centroids: Path | None = None
    sites: Path | None = None

    @model_validator(mode="after")
    def _distance_has_two_ends(self) -> "Geography":
        if (self.centroids is None) != (self.sites is None):
            raise ValueError("a distance needs both 'centroids' and 'sites'")
        return self
