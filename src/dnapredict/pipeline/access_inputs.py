"""Inputs of the access report: every appointment of an extract, its groups and its waiting time."""

import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.contract.codes import FIRST_ATTENDANCE, REMOTE_FIRST_ATTENDANCE, REMOTE_MECHANISMS
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import spark_engine
from dnapredict.data.files.digests import keyed_hash, read_secret
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import DataError, UsageError
from dnapredict.fairness.access import AccessContext, AccessData
from dnapredict.fairness.access.access_counts import ServiceCounts, count_service
from dnapredict.fairness.measure.audited_appointments import GROUP_COLUMNS
from dnapredict.model.cohort import patient_codes
from dnapredict.pipeline.audit_inputs import warn_of_unknown_values
from dnapredict.pipeline.audit_source import Say
from dnapredict.pipeline.on_spark.spark_counts import Codec, counts_of_patients
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.worklist.calls.stated_opt_outs import LOG_SECRET
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

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


def counted_on_spark(
    source: "str | SparkFrame", *, setting: Setting, policy: Policy, home: Path | None, say: Say | None = None
) -> tuple[ServiceCounts, AccessContext]:
    """Count the appointments of an extract on Apache Spark, as `listed` and `count_service` do.

    Raises
    ------
    DataError
        As `listed`, and if too many rows break the contract.
    UsageError
        If the home knows what made it hard to come, which executors cannot read; if Spark, Java or a package is
        missing.
    """
    from dnapredict.pipeline.on_spark.spark_verbs import rows_on_spark, sound_on_spark, source_name

    if home is not None and OutcomeStore(home).exists:
        raise UsageError(
            "This home keeps what made it hard to come (barrier), which executors cannot read. Use --engine duckdb."
        )
    codes = setting.training.dna_codes
    with spark_engine() as engine:
        rows, name = rows_on_spark(engine, source), source_name(source, "extract")
        checked = sound_on_spark(rows, engine, setting=setting, source=name)
        warn_of_unknown_values(checked, engine, policy, say)
        table = engine.compute(_sql(checked.rows.get_name()))
        with_outcome = table.filter(table.outcome_code.notnull())
        facts = engine.fetch(
            table.agg(
                **{f"filled_{each}": table[each].count() for each in table.columns},
                first=with_outcome.starts_at.date().min().as_scalar(),
                last=with_outcome.starts_at.date().max().as_scalar(),
            )
        ).to_pylist()[0]
        if not facts["filled_outcome_code"]:
            raise DataError(f"{name}: no appointment has an outcome_code.")
        filled = frozenset(each for each in table.columns if facts[f"filled_{each}"])
        counts = counts_of_patients(
            table,
            engine,
            rows=checked.kept,
            count=partial(_count_part, dna_codes=codes, filled=filled),
            codec=Codec(ServiceCounts.to_json, ServiceCounts.from_json),
        )
        context = AccessContext(
            source=name,
            data_sha256=engine.digest(rows, number=ROW_NUMBER),
            window=(facts["first"], facts["last"]),
            code_revision=code_revision(),
            synthetic=engine.every_file_says(rows, SYNTHETIC_KEY, "true"),
            created_at=datetime.datetime.now(ZoneInfo(setting.mapping.timezone)),
        )
    return counts, context


def _count_part(table: pa.Table, *, dna_codes: tuple[str, ...], filled: frozenset[str]) -> ServiceCounts:
    """The counts of the patients of a task; this runs on the executors."""
    columns = {"patient": pa.array(patient_codes(table["patient_id"]))}
    columns |= {name: table[name] for name in table.column_names if name not in ("patient_id", "appointment_id")}
    return count_service(AccessData(pa.table(columns).combine_chunks(), dna_codes, filled))


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
