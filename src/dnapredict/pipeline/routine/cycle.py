"""The weekly routine of a model in use: refresh, outcomes, monitor, and where it is due a challenger with its audit.

A cycle belongs to one extract: its folder `HOME/cycle/DIGEST` has a record of the steps that are done. A cycle that was
stopped continues at its first step that is not done, and one that is done only says again what it found. It never
promotes: that is for people.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.service_config import Retention
from dnapredict.config.training_config import Setting
from dnapredict.data.files.atomic_write import private_folder, write_private
from dnapredict.data.files.file_lock import locked
from dnapredict.data.readers import table_file
from dnapredict.errors import DataError, ModelError
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.verdicts import Verdict
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline.auditing import audit
from dnapredict.pipeline.comparison.live_comparison import compare_live, unequal_knowledge
from dnapredict.pipeline.model_building import train
from dnapredict.pipeline.routine.cycle_record import FOLDER, CycleRecord, CycleStep, read_cycle, write_cycle
from dnapredict.pipeline.routine.model_monitoring import monitor
from dnapredict.pipeline.scoring import refresh
from dnapredict.registry import CHAMPION, Registry
from dnapredict.worklist.calls.recorded_calls import CallRecords

RETRAIN_DAYS: Final = 90
"""Days after the last appointment that the champion learned from on which a new version is due."""

_PAGE: Final = "summary.html"
_CHALLENGER: Final = "challenger"
_DIGEST_LENGTH: Final = 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class Cycle:
    """The result of a cycle.

    Attributes
    ----------
    page
        The summary.
    was_done
        Whether an earlier run had done it all.
    """

    steps: tuple[CycleStep, ...]
    page: Path
    was_done: bool

    @property
    def asks(self) -> bool:
        """Whether a step asks for a decision."""
        return any(step.asks for step in self.steps)


def run_cycle(
    path: Path,
    *,
    home: Path,
    setting: Setting,
    policy: Policy,
    say: Say,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
    retrain_days: int = RETRAIN_DAYS,
) -> Cycle:
    """Run the steps that are not done yet on the extract at `path`.

    Raises
    ------
    StoreError
        If another cycle runs in this home.
    DnapredictError
        If a step fails. Earlier steps stay done.
    """
    private_folder(home / FOLDER)
    with locked(home / FOLDER / "cycle.lock", busy_message=f"{home}: another 'dnapredict cycle' runs. Wait for it."):
        extract = table_file.sha256(path)
        run = _Run(path, home=home, setting=setting, policy=policy, say=say, extract=extract)
        was_done = run.record.is_done
        if not was_done:
            for step in run.remaining(records=records, retention=retention, retrain_days=retrain_days):
                run.keep(step)
        if not was_done or not (run.folder / _PAGE).is_file():
            run.finish()
        return Cycle(run.record.steps, run.folder / _PAGE, was_done)


class _Run:
    """A cycle while it runs, with its record."""

    def __init__(self, path: Path, *, home: Path, setting: Setting, policy: Policy, say: Say, extract: str) -> None:
        self.path, self.home, self.setting, self.policy, self.say = path, home, setting, policy, say
        # Another mapping or configuration reads the same file in another way.
        read_as = f"{extract} {setting.mapping!r} {setting.training!r}"
        self.folder = home / FOLDER / hashlib.sha256(read_as.encode()).hexdigest()[:_DIGEST_LENGTH]
        private_folder(self.folder)
        self.record = read_cycle(self.folder) or CycleRecord(extract=extract)

    def keep(self, step: CycleStep) -> None:
        """Add a step that is done."""
        self.record = self.record.model_copy(update={"steps": (*self.record.steps, step)})
        write_cycle(self.folder, self.record)
        for sentence in step.words:
            self.say(sentence)

    def finish(self) -> None:
        """Write the summary, then mark the cycle as done."""
        summary = page(
            "cycle.html.j2",
            steps=self.record.steps,
            source=self.path.name,
            asks=any(step.asks for step in self.record.steps),
            next_steps=tuple(_next_steps(self.record.steps)),
            context=SimpleNamespace(
                synthetic=table_file.is_synthetic(self.path), created_at=datetime.datetime.now().astimezone()
            ),
        )
        write_private(self.folder / _PAGE, summary)
        self.record = self.record.model_copy(update={"is_done": True})
        write_cycle(self.folder, self.record)

    def remaining(self, *, records: CallRecords | None, retention: Retention, retrain_days: int) -> Iterator[CycleStep]:
        """The steps that are not done, each as it is done."""
        if not self._has("refresh"):
            yield self._refresh(records, retention)
        if not self._has("monitor"):
            yield self._monitor()
        if not self._has("train"):
            yield self._train(retrain_days)
        version = self._step("train").version
        if version and not self._has("compare"):
            yield self._compare(version)
        if version and not self._has("audit"):
            yield self._audit(version)

    def _has(self, name: str) -> bool:
        return any(step.name == name for step in self.record.steps)

    def _step(self, name: str) -> CycleStep:
        return next(step for step in self.record.steps if step.name == name)

    def _refresh(self, records: CallRecords | None, retention: Retention) -> CycleStep:
        told: list[str] = []
        refresh(self.path, home=self.home, setting=self.setting, say=told.append, records=records, retention=retention)
        return CycleStep(name="refresh", words=("The history is that of this extract.", *told))

    def _monitor(self) -> CycleStep:
        if not Registry(self.home).has(CHAMPION):
            return CycleStep(name="monitor", words=("No model is in use, so that none is watched.",))
        done = monitor(
            self.path,
            out=self.folder / "monitor",
            setting=self.setting,
            policy=self.policy,
            home=self.home,
            say=self.say,
        )
        alarms = done.result.lasting
        words = tuple(f"Alarm: {alarm.message}" for alarm in alarms) or ("No alarm holds.",)
        return CycleStep(name="monitor", words=words, asks=bool(alarms), report="monitor/monitor.html")

    def _train(self, retrain_days: int) -> CycleStep:
        why = self._why_train(retrain_days)
        if not why:
            return CycleStep(name="train", words=("No new version is due.",))
        version = self._trained_before()
        if not version:
            version = train(self.path, home=self.home, setting=self.setting, say=self.say).registered.version
        return CycleStep(name="train", words=(f"Version {version} is the challenger: {why}",), version=version)

    def _why_train(self, retrain_days: int) -> str:
        """Why a new version is due; "" if none is."""
        registry = Registry(self.home)
        if not registry.has(CHAMPION):
            return "no model is in use."
        if self._step("monitor").asks:
            return "an alarm holds."
        champion = load_model(registry.folder(CHAMPION)).manifest.provenance
        if champion.data_sha256 == self.record.extract:
            return ""
        days = (datetime.datetime.now(datetime.UTC).date() - champion.data_to).days
        return f"the champion learned from appointments up to {days} days ago." if days >= retrain_days else ""

    def _trained_before(self) -> str:
        """The challenger of a run that was stopped after its training; "" if there is none."""
        registry = Registry(self.home)
        if not registry.has(_CHALLENGER):
            return ""
        version = registry.version_of(_CHALLENGER)
        is_of_extract = registry.tags(version).get("data_sha256") == self.record.extract
        is_champion = registry.has(CHAMPION) and registry.version_of(CHAMPION) == version
        return version if is_of_extract and not is_champion else ""

    def _compare(self, version: str) -> CycleStep:
        registry = Registry(self.home)
        if not registry.has(CHAMPION):
            return CycleStep(name="compare", words=("There is no champion to compare it with.",))
        champion = registry.version_of(CHAMPION)
        names = (f"Version {version}", f"version {champion} (the champion)")
        words = list(unequal_knowledge(registry, version, champion))
        try:
            words.append(registry.compare(version, champion).verdict(*names))
        except (DataError, ModelError) as error:  # the tests of two trainings may have nothing in common
            words.append(str(error))
        live = compare_live(self.home, version, champion)
        if live is not None:
            words.append(f"On live appointments: {live.verdict(*names)}")
        return CycleStep(name="compare", words=tuple(words), version=version)

    def _audit(self, version: str) -> CycleStep:
        done = audit(
            self.path,
            out=self.folder / "audit",
            setting=self.setting,
            policy=self.policy,
            home=self.home,
            model=version,
            say=self.say,
        )
        verdict = done.result.verdict
        return CycleStep(
            name="audit",
            words=(f"The audit of version {version}: {verdict}.",),
            asks=verdict == Verdict.FAIL,
            version=version,
            report="audit/report.html",
        )


def _next_steps(steps: tuple[CycleStep, ...]) -> Iterator[str]:
    """What people do next."""
    for step in steps:
        if step.name == "monitor" and step.asks:
            yield "Read the page of the monitor, and find out what changed before a new version hides it."
        if step.name == "audit":
            yield (
                f"Read the audit of version {step.version} with the equality lead and sign it (dnapredict sign); then "
                f"decide on `dnapredict promote {step.version}`."
            )
