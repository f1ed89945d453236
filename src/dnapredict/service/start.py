"""Start the service on this machine: look first whether it can run, then hand over to BentoML."""

import importlib
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

from dnapredict.config.mapping import Mapping, load_mapping
from dnapredict.data.pseudonym import read_key
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.keys import KeyRing

__all__ = ["HOME_VARIABLE", "MAPPING_VARIABLE", "serve", "served_home", "served_mapping"]

HOME_VARIABLE: Final = "DNAPREDICT_HOME"
MAPPING_VARIABLE: Final = "DNAPREDICT_MAPPING"
_APP: Final = "dnapredict.service.app"
# What BentoML and MLflow would otherwise send to their makers, and print.
_SILENCE: Final = {
    "BENTOML_DO_NOT_TRACK": "true",
    "BENTOML_QUIET": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


def serve(home: Path, *, host: str, port: int, mapping: Path | None = None) -> None:
    """Serve scores and the page until interrupted.

    Parameters
    ----------
    home
        The home with the registry, the history and the lists.
    host, port
        Address to listen on, such as "127.0.0.1" and 3000.
    mapping
        How uploaded lists are read; otherwise as `MAPPING_VARIABLE` names it, or by the contract's names.

    Raises
    ------
    ModelError
        If the registry has no champion; the message names the command that makes one.
    StoreError
        If the address is taken or cannot be used.
    ConfigurationError
        If the mapping is missing or holds something it must not.
    UsageError
        If `host` is not an IP address, or is open to others while there is no key.
    """
    host = _address(host)
    _require_keys(home, host)
    _require_champion(home)
    _require_free(host, port)
    if mapping is not None:
        os.environ[MAPPING_VARIABLE] = str(mapping.resolve())
    served_mapping()
    sys.stderr.write(f"http://{host}:{port} answers once the model is loaded. Ctrl-C ends it.\n")
    state = tempfile.mkdtemp(prefix="dnapredict-serve-")
    try:
        os.environ.update(_SILENCE | {HOME_VARIABLE: str(home.resolve()), "BENTOML_HOME": state})
        importlib.import_module(_APP).run(host=host, port=port)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def served_home() -> Path:
    """The home that this process serves, as `serve` or the operator's environment names it."""
    return Path(os.environ.get(HOME_VARIABLE, ".dnapredict")).resolve()


def served_mapping() -> Mapping:
    """How this process reads the lists that people upload."""
    named = os.environ.get(MAPPING_VARIABLE)
    mapping = load_mapping(Path(named) if named else None)
    if mapping.makes_pseudonyms:
        read_key(mapping.key_file)
    return mapping


def _address(host: str) -> str:
    host = "127.0.0.1" if host == "localhost" else host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UsageError(f"--host {host}: expected an IP address such as 127.0.0.1.") from None


def _require_keys(home: Path, host: str) -> None:
    if not ipaddress.ip_address(host).is_loopback and not KeyRing(home).required:
        raise UsageError(
            f"--host {host}: others could reach the service there, and no key was ever made. "
            "Make one with `dnapredict keys create` first."
        )


def _require_champion(home: Path) -> None:
    from dnapredict.tracking import Registry

    Registry(home).version_of("champion")


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server itself will: an address that only lingers from a closed connection is free.
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StoreError(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                "Stop what runs there, or choose another with --port."
            ) from None
