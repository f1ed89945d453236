"""Inputs of the access report: every appointment of an extract, its groups and its waiting time."""

import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.contract.codes import FIRST_ATTENDANCE, REMOTE_FIRST_ATTENDANCE, REMOTE_MECHANISMS
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.digests import keyed_hash, read_secret
from dnapredict.data.readers import table_file
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import DataError
from dnapredict.fairness.access import AccessContext, AccessData
from dnapredict.fairness.measure.audited_appointments import GROUP_COLUMNS
from dnapredict.model.cohort import patient_codes
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.worklist.calls.calls_ledger import LOG_SECRET
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

_GROUPS = tuple(name for name in GROUP_COLUMNS if name in NAMES and name != "outcome_code")


def listed(
    checked: Checked, *, dna_codes: tuple[str, ...], source: str, workspace: Workspace, home: Path | None = None
) -> AccessData:
    """Every valid appointment, with or without an outcome.

    Where the outcome store of the `home` says what made it hard to come, that is added as `barrier`.

    Raises
    ------
    DataError
        If no appointment has an outcome: waiting and missing cannot be measured.
    """
    rows = workspace.fetch(_sql(checked.rows.get_name()))
    if rows["outcome_code"].null_count == rows.num_rows:
        raise DataError(f"{source}: no appointment has an outcome_code.")
    computed = {"patient": pa.array(patient_codes(rows["patient_id"]))}
    kept = {name: rows[name] for name in rows.column_names if name not in ("patient_id", "appointment_id")}
    if home is not None and (barriers := _barriers(home)):
        hash_of = partial(keyed_hash, read_secret(home / LOG_SECRET), "appointment")
        named = [barriers.get(hash_of(each)) for each in rows["appointment_id"].cast(pa.string()).to_pylist()]
        computed["barrier"] = pa.array(named, pa.string())
    return AccessData.of(pa.table(computed | kept), dna_codes=dna_codes)


def _barriers(home: Path) -> dict[str, str]:
    """What made it hard to come, by the keyed hash of the appointment, where somebody was asked."""
    store = OutcomeStore(home)
    if not store.exists:
        return {}
    asked = store.read(["appointment", "barrier"])
    asked = asked.filter(pc.is_valid(asked["barrier"]))
    return dict(zip(asked["appointment"].to_pylist(), asked["barrier"].to_pylist(), strict=True))


def _sql(name: str) -> str:
    """`starts_at` is by the clinic's clock; `ahead` marks appointments after the last one with an outcome.

    Where the extract has no date of referral, the start of the RTT period is used instead: the clock of the wait for
    treatment begins when the referral request is received.
    """
    referral = "coalesce(referred_local, rtt_period_start_local)"
    lists = (REMOTE_MECHANISMS, REMOTE_FIRST_ATTENDANCE, FIRST_ATTENDANCE)
    remote, by_first, known_first = (", ".join(f"'{code}'" for code in codes) for codes in lists)
    last = f"(SELECT max(starts_at) FROM {name} WHERE outcome_code IS NOT NULL)"
    return f"""
        SELECT appointment_id, patient_id, starts_local AS starts_at, outcome_code, first_attendance_code,
               {", ".join(_GROUPS)},
               date_diff('day', coalesce({referral}, booked_local)::DATE, starts_local::DATE) AS wait_days,
               {referral} IS NOT NULL AS from_referral,
               outcome_code IS NULL AND extract.starts_at > {last} AS ahead,
               CASE WHEN consultation_mechanism_code IS NOT NULL
                    THEN consultation_mechanism_code IN ({remote})
                    WHEN first_attendance_code IN ({known_first}) THEN first_attendance_code IN ({by_first})
               END AS remote
        FROM {name} AS extract
    """


def access_context(appointments: AccessData, path: Path, *, timezone: str) -> AccessContext:
    """The source of the report's numbers; `timezone` is that of the clinics."""
    table = appointments.table
    known = table.filter(pc.is_valid(table["outcome_code"]))["starts_at"].to_numpy().astype("datetime64[D]")
    return AccessContext(
        source=path.name,
        data_sha256=table_file.sha256(path),
        window=(known.min().item(), known.max().item()),
        code_revision=code_revision(),
        synthetic=table_file.is_synthetic(path),
        created_at=datetime.datetime.now(ZoneInfo(timezone)),
    )
