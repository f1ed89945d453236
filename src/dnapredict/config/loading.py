"""Read a TOML file into a frozen model, and write one; errors name the file, the key and the nearest right key."""

import difflib
import stat
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]


class Settings(BaseModel):
    """Base of every configuration model: frozen, closed to unknown keys and to TOML's `inf` and `nan`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Model = TypeVar("Model", bound=Settings)


def shipped(name: str) -> Path:
    """Path of a configuration file by its path in the repository, such as `training/config.toml`.

    The copy in the working directory comes first, so that a trust that keeps the four folders under its own version
    control needs no option; then the checkout; then the copy in the wheel.
    """
    candidates = [Path.cwd() / name, _CHECKOUT / name, _PACKAGE / "defaults" / name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigurationError(f"{name}: no such file here, and none came with the installation.")


def load(path: Path, model: type[Model]) -> Model:
    """Read `path` into `model`.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not TOML, or holds a key or value the model refuses.
        The message quotes the wrong value: configuration holds no patient.
    """
    require_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({type(error).__name__}).") from None
    return cast("Model", _parsed_once(path, text, model))


@lru_cache(maxsize=32)
def _parsed_once(path: Path, text: str, model: type[Settings]) -> Settings:
    """The model of a text, cached: a page reads the same configuration several times, and parsing takes 10 ms."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}.") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(_sentence(path, error, model)) from None


def as_toml(settings: Settings) -> str:
    """The settings as TOML that `loading.load` reads back to an equal model; None is left out.

    >>> import datetime
    >>> from dnapredict.config.training_config import SplitConfig
    >>> print(as_toml(SplitConfig(test_from=datetime.date(2025, 10, 1))), end="")
    test_from = 2025-10-01
    test_share = 0.2
    """
    return tomli_w.dumps(settings.model_dump(by_alias=True, exclude_none=True))


def require_file(path: Path) -> None:
    """Refuse a path that is not a regular file; reading a pipe that nobody writes to would wait for ever.

    Raises
    ------
    ConfigurationError
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file.") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}).") from None
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"{path}: is a folder, and a file is needed.")
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{path}: is no file but a pipe or a device.")


def resolved(path: Path) -> Path:
    """The absolute path of `path`, whether or not anything is there.

    Raises
    ------
    ConfigurationError
        If it is a link that leads back to itself.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise ConfigurationError(f"{path}: is a link that leads back to itself.") from None


def _sentence(path: Path, error: ValidationError, model: type[Settings]) -> str:
    problems = [_problem(problem, model) for problem in error.errors(include_url=False)]
    return f"{path}: " + " ".join(problems)


def _problem(problem: Any, model: type[Settings]) -> str:
    where = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        return _unknown_key(where, model)
    if problem["type"] == "missing":
        return f"key '{'.'.join(where)}' is missing."
    message = str(problem["msg"]).removeprefix("Value error, ")
    prefix = f"key '{'.'.join(where)}': " if where else ""
    value = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
    return f"{prefix}{message}{value}."


def _unknown_key(where: list[str], model: type[Settings]) -> str:
    known = sorted(_known_keys(model, where[:-1]))
    near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(known)}."
    inside = f" in '{'.'.join(where[:-1])}'" if where[:-1] else ""
    return f"unknown key '{where[-1]}'{inside}. {hint}"


def _known_keys(model: type[Settings], path: list[str]) -> set[str]:
    """Keys of the (nested) model at `path`, resolved through the schema's references."""
    schema = model.model_json_schema()
    node = schema
    for part in path:
        node = _resolve(node, schema)
        node = node.get("properties", {}).get(part) or _inside(node, schema)
    return set(_resolve(node, schema).get("properties", {}))


def _inside(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    extra = node.get("additionalProperties")
    child = node.get("items") or (extra if isinstance(extra, dict) else {})
    return _resolve(child, schema)


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", ()):
        resolved = _resolve(option, schema)
        if "properties" in resolved or "items" in resolved:
            return resolved
    if "$ref" in node:
        return _resolve(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    return node
