"""Inputs that all verbs share: configuration, the checked extract, its matrix, and the code revision."""

import difflib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import ibis.expr.types as ir

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.duckdb_engine import BoundQuery, Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked, CheckedExtract
from dnapredict.errors import ConfigurationError
from dnapredict.features.factors import fed_by
from dnapredict.features.matrix import Matrix, Past, question, write_matrix
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.cohort import COHORT_COLUMNS

IN_TIME: Final = ("starts_at", "appointment_id")
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def checked_extract(
    path: Path,
    workspace: Workspace,
    *,
    mapping: Mapping = IDENTITY,
    say: Callable[[str], None] | None = None,
) -> Checked:
    """The extract at `path`, checked against the contract; `say` receives a sentence on anything unusual in the file.

    Raises
    ------
    ConfigurationError
        If the key for pseudonyms is in the folder of the extract, so that a copy of the folder would hold both.
    """
    key = mapping.makes_pseudonyms and mapping.key_file
    if key and key.resolve().parent == path.resolve().parent:
        raise ConfigurationError(
            f"{key}: the key for pseudonyms is in the folder of the data. Keep it in another folder, which fewer "
            "people can read."
        )
    table = table_file.read(path, workspace, tell=say)
    return contract_check.check(table, workspace, mapping=mapping, source=path.name)


def checked_lists(paths: Sequence[Path], workspace: Workspace, *, mapping: Mapping = IDENTITY) -> tuple[Checked, ...]:
    """Lists of appointments without outcomes, as they were drawn before the appointments, checked against the contract.

    Raises
    ------
    DataError
        If one cannot be read, or lacks a required column.
    """
    return tuple(
        contract_check.check(
            table_file.read(path, workspace), workspace, mapping=mapping, source=path.name, future=True
        )
        for path in paths
    )


def columns_fed(path: Path, mapping: Mapping = IDENTITY) -> frozenset[str]:
    """The contract columns that the file at `path` supplies through `mapping`; its rows are not read."""
    with Workspace() as workspace:
        return contract_check.present(table_file.columns(path, workspace), mapping)


def sound_extract(path: Path, setting: Setting, workspace: Workspace) -> Checked:
    """The checked extract; refused where more rows break the contract than the configuration allows."""
    checked = checked_extract(path, workspace, mapping=setting.mapping)
    checked.require(max_rejected_share=setting.training.max_rejected_share, source=path.name)
    return checked


def worklist_config(home: Path | None = None) -> WorklistConfig:
    """The configuration of worklists: number of calls, bands and actions.

    Parameters
    ----------
    home
        The home whose benefit model ranks the lists, where they are ranked by benefit.

    Raises
    ------
    ConfigurationError
        If an action is for a factor that is not in the register: it would never be offered. If the file holds a benefit
        model of its own.
    ModelError
        If lists are ranked by benefit, and the home has no benefit model.
    """
    path = shipped("serving/worklist.toml")
    config = load(path, WorklistConfig)
    if config.benefit is not None:
        raise ConfigurationError(
            f"{path}: [benefit] is not a setting. A benefit model is learned from a trial by 'dnapredict trial "
            'report\', which writes it to the home; rank_by = "benefit" uses that one.'
        )
    if config.rank_by == "benefit" and home is not None:
        # A check needs neither.
        from dnapredict.trial.pre_registration import FOLDER
        from dnapredict.worklist.plan.benefit_ranking import FILE, read_benefit_model

        benefit = read_benefit_model(home / FOLDER / FILE)
        config = config.model_copy(update={"benefit": benefit})
    known = [factor.name for factor in load(shipped("training/factors.toml"), FactorRegister).factors]
    for action in config.actions:
        for name in action.factors:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ConfigurationError(
                    f"{path}: action '{action.do}' is for '{name}', which is no factor of training/factors.toml.{hint}"
                )
    # Made absolute, so that it is the same file from every working directory.
    opt_outs = config.opt_out_file and path.parent / config.opt_out_file
    return config.model_copy(update={"opt_out_file": opt_outs})


def matrix_of(
    checked: Checked,
    config: TrainingConfig,
    register: FactorRegister | None = None,
    *,
    extra_columns: tuple[str, ...],
    workspace: Workspace,
    factors: tuple[str, ...] = (),
) -> Matrix:
    """The matrix of all valid rows in order of time: the agreed factors they have columns for, or only `factors`."""
    if register is not None:
        factors = factors_fed(checked, register)
    asked = _matrix_question(checked, config, factors, checked.rows, extra_columns=extra_columns, workspace=workspace)
    return Matrix(workspace.fetch(asked), factors)


def labelled_matrix(
    checked: Checked, config: TrainingConfig, register: FactorRegister, *, workspace: Workspace
) -> Matrix:
    """The matrix of the appointments that were attended or missed, with its factors in a file, as `cohort_of` reads it.

    They are in order of time.
    """
    outcomes, rows = LabelRule(config.dna_codes), checked.rows.get_name()
    codes = ", ".join(f"'{code}'" for code in (*outcomes.dna_codes, *outcomes.came_codes))
    return matrix_in_file(
        checked,
        config,
        workspace.view(f"FROM {rows} WHERE outcome_code IN ({codes})"),
        factors=factors_fed(checked, register),
        extra_columns=COHORT_COLUMNS,
        workspace=workspace,
    )


def matrix_in_file(
    checked: Checked,
    config: TrainingConfig,
    points: ir.Table,
    *,
    factors: tuple[str, ...],
    extra_columns: tuple[str, ...],
    workspace: Workspace,
) -> Matrix:
    """The matrix of `points`, some of the valid rows, in order of time, with its factors in a file.

    All valid rows may be known of them. A query for some rows takes less time than one for all.
    """
    asked = _matrix_question(checked, config, factors, points, extra_columns=extra_columns, workspace=workspace)
    return write_matrix(asked, factors=factors, columns=extra_columns, workspace=workspace)


def factors_fed(checked: CheckedExtract, register: FactorRegister) -> tuple[str, ...]:
    """The agreed factors that an extract has columns for."""
    return tuple(factor.name for factor in fed_by(register, checked.present))


def _matrix_question(
    checked: Checked,
    config: TrainingConfig,
    factors: tuple[str, ...],
    points: ir.Table,
    *,
    extra_columns: tuple[str, ...],
    workspace: Workspace,
) -> BoundQuery:
    clock = Clock.of(config)
    return question(
        points,
        Past.of(checked.rows, clock=clock, workspace=workspace),
        factors=factors,
        clock=clock,
        outcomes=LabelRule(config.dna_codes),
        extra_columns=(*extra_columns, *(name for name in IN_TIME if name not in extra_columns)),
        order_by=IN_TIME,
    )


def code_revision(package: Path = _PACKAGE) -> str:
    """The commit of the checkout that contains `package`, with `+dirty` if files differ; else the version installed.

    A model card needs it, so that the model can be reproduced.
    """
    if _git(package, "rev-parse", "--show-prefix") != "src/dnapredict/":  # installed, or inside another repository
        return f"dnapredict {version('dnapredict')}"
    commit = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", "..")
    return f"{commit}+dirty" if changed else commit


def _git(folder: Path, *words: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    answer = subprocess.run(  # noqa: S603 - fixed words, no shell
        [git, "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=30
    )
    return answer.stdout.strip()


def contract_sentences(checked: CheckedExtract, *, source: str) -> Iterator[str]:
    """How many rows keep the contract, and which rules the others break; never a value."""
    yield f"{source}: {checked.kept:,} of {checked.total:,} rows keep the contract."
    for sentence in checked.ingest.sentences:
        yield f"  {sentence}"
    for rejection in checked.rejections:
        yield f"  rejected: {rejection}"
