"""Start the service: check that it can run, then hand over to BentoML."""

import contextlib
import importlib
import ipaddress
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dnapredict.config.home import DEFAULT_HOME, HOME_VARIABLE
from dnapredict.config.mapping_config import Mapping, load_mapping
from dnapredict.config.service_config import SETTINGS_VARIABLE, served_config
from dnapredict.data.files.file_lock import is_unlocked, locked
from dnapredict.data.files.operating_system import is_windows
from dnapredict.data.files.temporary_folder import remove_abandoned
from dnapredict.data.mapping.pseudonyms import read_key
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth.api_keys import KeyRing, mark_keys_made
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.readiness import IDENTITY_VARIABLE, named_identity, require_answerable

Files = MappingOf[str, Path]


MAPPING_VARIABLE: Final = "DNAPREDICT_MAPPING"
_FILES_VARIABLE: Final = "DNAPREDICT_MAPPING_FILES"
_KEY_FILE_VARIABLE: Final = "DNAPREDICT_MAPPING_KEY_FILE"
_APP: Final = "dnapredict.service.app"
_STATE: Final = "dnapredict-serve-"
_STATE_LOCK: Final = "serve.lock"
# Switch off telemetry and start-up messages of BentoML and MLflow.
_SILENCE: Final = {
    "BENTOML_DO_NOT_TRACK": "true",
    "BENTOML_QUIET": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


def serve(
    home: Path,
    *,
    host: str,
    port: int,
    mapping: Path | None = None,
    files: Files = MappingProxyType({}),
    key_file: Path | None = None,
    settings: Path | None = None,
) -> None:
    """Serve scores and the page until interrupted.

    Parameters
    ----------
    home
        The home with the registry, the history and the lists.
    host, port
        Address to listen on, such as "127.0.0.1" and 3000.
    mapping
        Mapping of uploaded lists; by default the one that `MAPPING_VARIABLE` names, or none.
    files, key_file
        Paths of joined files and of the key for pseudonyms, instead of those in the mapping.
    settings
        TOML like `serving/service.toml`, which is the default.

    Raises
    ------
    ModelError
        If the registry has no champion; the message names the command that makes one.
    GateFailedError
        If the champion's audit or the decision on it is no longer valid.
    StoreError
        If the address is taken or cannot be used.
    ConfigurationError
        If the mapping or the settings are missing or hold something they must not.
    UsageError
        If `host` is not an IP address, or is open to others while there is no key.
    """
    host = _address(host)
    _export_to_workers(mapping, files, key_file, settings)
    config = served_config()
    if config.openid is None:
        _require_keys(home, host)
    _require_champion(home)
    _require_free(host, port)
    served_mapping()
    require_answerable(home, ScoringLog(home, config.database))
    sys.stderr.write(f"http://{host}:{port} answers once the model is loaded. Ctrl-C ends it.\n")
    with _temporary_folder() as state:
        # Downloads are written to the temporary folder first; they contain patients' names if a team wants them.
        tempfile.tempdir = str(state)  # this process has asked for the temporary folder before
        os.environ.update(
            _SILENCE
            | {HOME_VARIABLE: str(home.resolve()), IDENTITY_VARIABLE: named_identity(home)}
            | {"BENTOML_HOME": str(state), "TMPDIR": str(state)}
        )
        importlib.import_module(_APP).run(host=host, port=port)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A temporary folder of this service and its workers; those of services that were killed are removed first."""
    remove_abandoned()
    for earlier in Path(tempfile.gettempdir()).glob(f"{_STATE}*"):
        lock = earlier / _STATE_LOCK
        with contextlib.suppress(OSError):
            if lock.is_file() and is_unlocked(lock):
                shutil.rmtree(earlier, ignore_errors=True)
    state = Path(tempfile.mkdtemp(prefix=_STATE))
    try:
        with locked(state / _STATE_LOCK, busy_message="Another service uses this temporary folder."):
            yield state
    finally:
        tempfile.tempdir = None
        shutil.rmtree(state, ignore_errors=True)


def served_home() -> Path:
    """The home that this process serves, as named by `serve` or by the environment."""
    return Path(os.environ.get(HOME_VARIABLE, DEFAULT_HOME)).resolve()


def served_mapping() -> Mapping:
    """The mapping of uploaded lists in this process."""
    named, key = os.environ.get(MAPPING_VARIABLE), os.environ.get(_KEY_FILE_VARIABLE)
    files = {name: Path(path) for name, path in json.loads(os.environ.get(_FILES_VARIABLE, "{}")).items()}
    mapping = load_mapping(Path(named) if named else None, files=files, key_file=Path(key) if key else None)
    if mapping.makes_pseudonyms:
        read_key(mapping.key_file)
    return mapping


def _export_to_workers(mapping: Path | None, files: Files, key_file: Path | None, settings: Path | None) -> None:
    """Pass these settings on to the worker processes, through their environment."""
    if mapping is not None:
        os.environ[MAPPING_VARIABLE] = str(mapping.resolve())
    if files:
        os.environ[_FILES_VARIABLE] = json.dumps({name: str(path.resolve()) for name, path in files.items()})
    if settings is not None:
        os.environ[SETTINGS_VARIABLE] = str(settings.resolve())
    if key_file is not None:
        os.environ[_KEY_FILE_VARIABLE] = str(key_file.resolve())


def _address(host: str) -> str:
    host = "127.0.0.1" if host == "localhost" else host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UsageError(f"--host {host}: expected an IP address such as 127.0.0.1.") from None


def _require_keys(home: Path, host: str) -> None:
    has_keys = KeyRing(home).required  # raises if the keys were lost, whatever the address
    if has_keys:
        mark_keys_made(home)
    if not has_keys and not ipaddress.ip_address(host).is_loopback:
        raise UsageError(
            f"--host {host}: others could reach the service there, and no key was ever made. "
            "Make one with `dnapredict keys create` first."
        )


def _require_champion(home: Path) -> None:
    from dnapredict.registry import Registry

    _, warning = Registry(home).in_use()
    if warning:
        sys.stderr.write(f"{warning}\n")


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server does: a port in TIME_WAIT after a closed connection counts as free.
        if not is_windows():
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StoreError(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                "Stop what runs there, or choose another with --port."
            ) from None
