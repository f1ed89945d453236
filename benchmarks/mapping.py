"""What a mapping adds to the check of an extract: joins, geography and pseudonyms over a million rows.

    python -m benchmarks.mapping [ROWS]

The same made-up appointments are read twice from Parquet: once under the contract's own names with all
columns there, once through a mapping that joins a patient file and a postcode lookup, looks up deciles,
measures distances and turns NHS numbers into pseudonyms. Ratios are of one run.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dnapredict.config.mapping_config import IDENTITY, Mapping, load_mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, is_nhs_number
from dnapredict.pipeline.run_inputs import checked_extract
from dnapredict.synthetic.simulation import simulate

_DRAWN = ("patient_id", "ethnic_category_code", "lsoa_code", "imd_decile", "distance_km")
_RUNS = 3
_MAPPING = """
[columns]
patient_id = { from = "patients.NHS", pseudonymise = true }
ethnic_category_code = { from = "patients.Ethnicity" }
lsoa_code = { from = "postcodes.lsoa21" }
[files.patients]
path = "patients.csv"
match = { "Patient" = "PATNO" }
[lookups.postcodes]
path = "postcodes.csv"
match = { "patients.Postcode" = "pcds" }
[geography]
imd = "areas.csv"
centroids = "areas.csv"
sites = "sites.csv"
"""


def main(rows: int) -> None:
    """Measure and write benchmarks/out/mapping.json."""
    os.environ[KEY_VARIABLE] = "a key for the benchmark, of no use elsewhere"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        simulate(folder / "own.parquet", appointments=rows, seed=1)
        patients = _foreign(folder)
        mapping = load_mapping(folder / "mapping.toml")
        files = ((folder / "own.parquet", IDENTITY), (folder / "foreign.parquet", mapping))
        own, mapped = ([_seconds(*read) for _ in range(_RUNS)] for read in files)
    found = {
        "rows": rows,
        "patients": patients,
        **_told("own", own),
        **_told("mapped", mapped),
        "ratio_of_processor_seconds": round(min(m[1] for m in mapped) / min(o[1] for o in own), 2),
        "ratio_of_seconds": round(min(m[0] for m in mapped) / min(o[0] for o in own), 2),
        "ratio_first_time": round(mapped[0][1] / own[0][1], 2),
    }
    out = Path(__file__).parent / "out" / "mapping.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


def _told(name: str, seconds: list[tuple[float, float]]) -> dict[str, float]:
    walls, processors = zip(*seconds, strict=True)
    return {f"{name}_seconds": round(min(walls), 2), f"{name}_processor_seconds": round(min(processors), 2)}


def _seconds(path: Path, mapping: Mapping) -> tuple[float, float]:
    """By the clock and of the processor: a machine that others share tells the second more truly."""
    start, busy = time.perf_counter(), time.process_time()
    with Workspace() as workspace:
        checked = checked_extract(path, workspace, mapping=mapping)
        assert checked.kept > 0.9 * checked.total
    return time.perf_counter() - start, time.process_time() - busy


def _foreign(folder: Path) -> int:
    """The same appointments without what the joined files hold."""
    table = pq.read_table(folder / "own.parquet")
    patient = pc.dictionary_encode(table["patient_id"]).combine_chunks()
    count = len(patient.dictionary)
    first = pc.index_in(patient.dictionary, value_set=table["patient_id"].combine_chunks())
    of_patient = table.take(first)
    lsoa = pc.fill_null(of_patient["lsoa_code"], "E01000001").combine_chunks()
    codes = pc.unique(lsoa)
    area = pc.index_in(lsoa, value_set=codes).to_numpy(zero_copy_only=False)
    rng = np.random.default_rng(1)
    _write(
        folder,
        "patients.csv",
        PATNO=patient.dictionary,
        NHS=_numbers(count),
        Ethnicity=of_patient["ethnic_category_code"],
        Postcode=[f"L{a} 1AA" for a in area],
    )
    _write(folder, "postcodes.csv", pcds=[f"L{a} 1AA" for a in range(len(codes))], lsoa21=codes)
    degrees = {"latitude": rng.uniform(53, 54, len(codes)), "longitude": rng.uniform(-3, -2, len(codes))}
    _write(folder, "areas.csv", lsoa21_code=codes, imd_decile=rng.integers(1, 11, len(codes)), **degrees)
    sites = pc.unique(table["site_code"].drop_null())
    _write(
        folder,
        "sites.csv",
        site_code=sites,
        latitude=rng.uniform(53, 54, len(sites)),
        longitude=rng.uniform(-3, -2, len(sites)),
    )
    foreign = table.drop_columns(list(_DRAWN)).append_column("Patient", table["patient_id"])
    pq.write_table(foreign, folder / "foreign.parquet")
    (folder / "mapping.toml").write_text(_MAPPING)
    return count


def _write(folder: Path, name: str, **columns: object) -> None:
    pa_csv.write_csv(pa.table(columns), folder / name)


def _numbers(count: int) -> list[str]:
    """Valid numbers of the range kept for tests."""
    found: list[str] = []
    nine = 900_000_000
    while len(found) < count:
        total = sum(int(digit) * weight for digit, weight in zip(str(nine), range(10, 1, -1), strict=True))
        number = f"{nine}{(11 - total % 11) % 11}"
        if is_nhs_number(number):
            found.append(number)
        nine += 1
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
