"""Write a configuration as TOML, so that a run can be reproduced."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dnapredict.config.loading import Settings

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(settings: Settings) -> str:
    """The settings as TOML that `loading.load` reads back to an equal model; what is None is left out.

    >>> from dnapredict.config.training_config import SplitConfig
    >>> print(as_toml(SplitConfig(test_from=datetime.date(2025, 10, 1))), end="")
    test_from = 2025-10-01
    test_share = 0.2
    """
    return "\n".join(_lines(settings.model_dump(by_alias=True), path=())) + "\n"


def _lines(content: Mapping[str, Any], *, path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first, since every line after a table header belongs to that table."""
    known = {key: value for key, value in content.items() if value is not None}
    plain = {key: value for key, value in known.items() if not _is_table(value)}
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in known.items():
        if isinstance(value, Mapping):
            yield from ("", f"[{_dotted((*path, key))}]")
            yield from _lines(value, path=(*path, key))
        elif key not in plain:
            for each in value:
                yield from ("", f"[[{_dotted((*path, key))}]]")
                yield from _lines(each, path=(*path, key))


def _is_table(value: Any) -> bool:
    """Whether a value is a table, or a list of some."""
    several = isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value)
    return isinstance(value, Mapping) or bool(several)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # A string of JSON is one of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(_key(key) for key in path)
