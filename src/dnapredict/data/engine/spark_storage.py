"""Files that executors read and write, in Hadoop's file systems: pyspark itself cannot list or rename them."""

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# `pathlib` makes one slash of two: abfss://lists@account/x becomes abfss:/lists@account/x.
_STORE: Final = re.compile(r"(abfss?|wasbs?|s3a?|gs|hdfs):/(?!/)")
_DELTA_LOG: Final = "_delta_log"
_REPLACED: Final = ".replaced"

FileStates = frozenset[tuple[str, int, int]]
"""Path, bytes and time of the last change of each file."""


@dataclass(frozen=True)
class SparkStorage:
    """The file systems that a session knows."""

    session: "SparkSession"

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        system, place = self._system_of(path)
        return bool(system.exists(place))

    def is_folder(self, path: str) -> bool:
        """Whether a path that exists is a folder."""
        system, place = self._system_of(path)
        return bool(system.getFileStatus(place).isDirectory())

    def is_delta(self, path: str) -> bool:
        """Whether a path is the folder of a Delta table: its Parquet files hold rows that were deleted, too."""
        return self.exists(f"{path.rstrip('/')}/{_DELTA_LOG}")

    def file_states(self, path: str) -> FileStates:
        """The files of a path and of all folders in it."""
        system, place = self._system_of(path)
        listed, found = system.listFiles(place, True), set()
        while listed.hasNext():
            each = listed.next()
            found.add((each.getPath().toString(), each.getLen(), each.getModificationTime()))
        return frozenset(found)

    def different_types(self, path: str) -> str | None:
        """In words, the first column whose type differs between the Parquet files of a folder; None if none does."""
        kinds: dict[str, tuple[str, str]] = {}
        for file, _, _ in sorted(self.file_states(path)):
            name = file.rpartition("/")[2]
            if name.startswith(("_", ".")):
                continue
            for column, kind in self.session.read.parquet(file).dtypes:
                first, where = kinds.setdefault(column, (kind, name))
                if first != kind:
                    return f"the column {column} has the type {first} in {where} and {kind} in {name}"
        return None

    def replace(self, path: str, draft: str) -> bool:
        """Give the name `path` to `draft`, and remove what had it; whether that could be done.

        What was at `path` is moved aside first and moved back if the draft cannot have its name. If the process is
        killed between the two, it is left under a name with `.replaced`.
        """
        system, final = self._system_of(path)
        before = self._system_of(f"{path.rstrip('/')}{_REPLACED}")[1]
        system.delete(before, True)
        had_one = bool(system.exists(final))
        if had_one and not system.rename(final, before):
            return False
        is_done = False
        with contextlib.suppress(Exception):  # some file systems throw where others return false
            is_done = bool(system.rename(self._system_of(draft)[1], final))
        if not is_done and had_one:
            system.rename(before, final)
        elif had_one:
            system.delete(before, True)
        return is_done

    def remove(self, path: str) -> None:
        """Remove a folder, if Spark still can."""
        with contextlib.suppress(Exception):  # a next run to the same output does it otherwise
            system, place = self._system_of(path)
            system.delete(place, True)

    def _system_of(self, path: str) -> tuple[Any, Any]:
        session: Any = self.session
        place = session._jvm.org.apache.hadoop.fs.Path(location(path))  # noqa: SLF001
        return place.getFileSystem(session._jsc.hadoopConfiguration()), place  # noqa: SLF001


def location(source: str) -> str:
    """The address of a store with both its slashes, which `pathlib` reduces to one; other text as it is.

    >>> location("abfss:/lists@trust.dfs.core.windows.net/week"), location("lists/week.parquet")
    ('abfss://lists@trust.dfs.core.windows.net/week', 'lists/week.parquet')
    """
    return _STORE.sub(r"\1://", source, count=1)
