"""Log a stored model with its run: signature, example and, for other machines, the code that it needs."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType

import dnapredict
from dnapredict.data.contract.columns import COLUMNS
from dnapredict.model.artefact import StoredModel
from dnapredict.registry.mlflow_store import MODEL_NAME, TrackingStore

_SCRIPT: Final = Path(__file__).with_name("pyfunc_model.py")
_PACKAGE: Final = Path(dnapredict.__file__).parent
# Made up, as serving/examples/score.json is.
_EXAMPLE: Final = (
    {
        "appointment_id": "SYN-EXAMPLE-1",
        "patient_id": "SYN-PATIENT-1",
        "booked_at": "2026-09-01T10:15",
        "starts_at": "2026-12-01T09:20",
        "site_code": "SITE-A",
        "clinic_code": "ENT-1",
        "treatment_function_code": "120",
        "first_attendance_code": "1",
        "consultation_mechanism_code": "01",
        "priority_type_code": "1",
        "age_years": 34.0,
        "imd_decile": 2,
        "interpreter_needed": False,
        "has_mobile": True,
    },
    {
        "appointment_id": "SYN-EXAMPLE-2",
        "patient_id": "SYN-PATIENT-2",
        "booked_at": "2026-11-20T16:40",
        "starts_at": "2026-12-01T14:00",
        "site_code": "SITE-B",
        "clinic_code": "EYE-2",
        "treatment_function_code": "130",
        "first_attendance_code": "2",
        "consultation_mechanism_code": "01",
        "priority_type_code": "2",
        "age_years": 71.0,
        "imd_decile": 8,
        "interpreter_needed": False,
        "has_mobile": True,
    },
)


def log_model(store: TrackingStore, folder: Path, run_id: str, *, stored: StoredModel, with_code: bool = False) -> str:
    """Log the stored model in `folder` with its run, in a form that MLflow loads without pickle; return its id.

    `with_code` puts this package beside it and names the releases of its dependencies, so that a machine without
    dnapredict can load it.
    """
    # Given, or MLflow starts a process to infer them: 7 s for each training.
    needed = _dependencies() if with_code else [f"dnapredict=={installed('dnapredict')}"]
    with store.alone(), _without_bytecode(), mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name=f"{MODEL_NAME}-{stored.digest[:8]}",
            python_model=str(_SCRIPT),
            artifacts={"model": str(folder)},
            pip_requirements=needed,
            code_paths=[str(_PACKAGE)] if with_code else None,
            signature=signature_of(stored.manifest.factors),
            input_example=example_rows(),
            # What `load_model(..., model_config={"history": HOME})` may change.
            model_config={"history": ""},
            metadata={
                "factors": list(stored.manifest.factors),
                "required_columns": [column.name for column in COLUMNS if column.required],
                "columns": {column.name: column.kind.value for column in COLUMNS},
            },
        )
    return str(logged.model_id)


@contextlib.contextmanager
def _without_bytecode() -> Iterator[None]:
    """MLflow runs the script in the folder of the model, where no compiled copy belongs: nothing would verify it."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def example_rows() -> pd.DataFrame:
    """Two made-up contract rows."""
    return pd.DataFrame(list(_EXAMPLE))


def signature_of(factors: Sequence[str]) -> ModelSignature:
    """The columns of contract rows, and those of rows of factors; all are optional, and of any type.

    The contract reads text and typed columns alike, so a type here would refuse frames that it accepts. What is missing
    is reported by the model: MLflow's message would print the patients' rows.
    """
    names = dict.fromkeys((*(column.name for column in COLUMNS), *factors))
    untyped = AnyType()  # type: ignore[no-untyped-call] # MLflow's constructor has no annotation
    inputs = Schema([ColSpec(untyped, name, required=False) for name in names])
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double")]))


def _dependencies() -> list[str]:
    """The installed releases of what this package requires, without its extras."""
    names = (wanted for wanted in requires("dnapredict") or () if "extra ==" not in wanted)
    return list(_pinned(names))


def _pinned(wanted: Iterator[str]) -> Iterator[str]:
    for requirement in wanted:
        name = requirement.partition(">")[0].partition(";")[0].strip()
        with contextlib.suppress(PackageNotFoundError):  # of another platform
            yield f"{name}=={installed(name.partition('[')[0])}"
