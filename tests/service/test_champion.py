"""The model that answers: loaded when there is one, swapped whole, kept through trouble."""

from pathlib import Path

import pytest
from tests.service.conftest import client_of
from tests.service.double import AgeScorer

from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.service.api import smoke_test
from dnapredict.service.api.champion import Champion, ExpectedModel
from dnapredict.service.scorer_protocol import ScorerProtocol


class Registry:
    """A registry to play with: set `standing`, or `trouble` to raise."""

    def __init__(self) -> None:
        self.standing = ExpectedModel("1", "history-a")
        self.trouble: Exception | None = None
        self.unfit = False
        self.rejected = False
        self.no: set[str] = set()
        self.opened: list[str] = []
        self.tried: list[str] = []

    def ask(self) -> ExpectedModel:
        if self.rejected:
            raise GateFailedError("Version 1 is not used: A. Reviewer rejected it.")
        return self.standing

    def run_smoke_test(self, version: str) -> None:
        self.tried.append(version)
        if self.unfit:
            raise ModelError(f"Version {version} failed.")

    def require_usable(self, version: str) -> None:
        if version in self.no:
            raise GateFailedError(f"Version {version} is not used: A. Reviewer rejected it.")

    def open(self, version: str) -> ScorerProtocol:
        if self.trouble:
            raise self.trouble
        self.opened.append(version)
        return AgeScorer(model_version=version)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def champion(registry: Registry) -> Champion:
    return Champion(
        expected=registry.ask,
        open_scorer=registry.open,
        run_smoke_test=registry.run_smoke_test,
        require_usable=registry.require_usable,
    )


def test_nothing_answers_before_the_first_look(champion: Champion) -> None:
    with pytest.raises(ModelError, match="No model is loaded yet"):
        champion.require()


def test_a_new_champion_is_swapped_in_and_the_same_one_is_not_loaded_again(
    champion: Champion, registry: Registry
) -> None:
    champion.refresh()
    champion.refresh()
    registry.standing = ExpectedModel("2", "history-a")
    champion.refresh()
    assert champion.require().model_version == "2"
    assert registry.opened == ["1", "2"]


def test_a_new_history_is_taken_up_as_a_new_champion_is(champion: Champion, registry: Registry) -> None:
    champion.refresh()
    registry.standing = ExpectedModel("1", "history-b")
    champion.refresh()
    assert registry.opened == ["1", "1"]


@pytest.mark.parametrize("trouble", [ModelError("The model is damaged."), RuntimeError("zebra-4711")])
def test_a_champion_that_cannot_be_loaded_leaves_the_last_good_one(
    champion: Champion, registry: Registry, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    champion.refresh()
    registry.standing, registry.trouble = ExpectedModel("2"), trouble
    champion.refresh()
    champion.refresh()
    assert champion.require().model_version == "1"
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert "zebra-4711" not in caplog.text


def test_only_a_replacement_is_tried_out_and_never_a_new_history(champion: Champion, registry: Registry) -> None:
    champion.refresh()
    registry.standing = ExpectedModel("1", "history-b")
    champion.refresh()
    assert registry.tried == []
    registry.standing = ExpectedModel("2", "history-b")
    champion.refresh()
    assert registry.tried == ["2"]


def test_a_version_that_fails_is_not_tried_again_and_its_successor_is(champion: Champion, registry: Registry) -> None:
    champion.refresh()
    registry.standing, registry.unfit = ExpectedModel("2"), True
    champion.refresh()
    champion.refresh()
    assert champion.require().model_version == "1"
    registry.standing, registry.unfit = ExpectedModel("3"), False
    champion.refresh()
    assert champion.require().model_version == "3"
    assert registry.tried == ["2", "3"]


def test_a_process_that_is_ended_by_a_model_costs_the_child_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "abrupt.py").write_text("import os; os.abort()")
    monkeypatch.setattr(smoke_test, "__name__", "abrupt")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match="Version 9 failed when it was tried out"):
        smoke_test.run_smoke_test("9")


def test_a_home_without_that_version_fails_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNAPREDICT_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="Version 9 failed"):
        smoke_test.run_smoke_test("9")


def test_without_a_champion_the_service_lives_and_says_that_it_is_not_ready(
    champion: Champion, registry: Registry, tmp_path: Path
) -> None:
    registry.trouble = ModelError("There is no champion.")
    with client_of(champion, tmp_path) as client:
        assert client.get("/livez").status_code == 200
        for answer in (
            client.get("/readyz"),
            client.get("/v1/model"),
            client.post("/v1/score", json={"appointments": []}),
        ):
            assert answer.status_code == 503
            assert set(answer.json()) == {"error"}
    champion.stop()


def test_a_model_that_answers_in_place_of_one_that_failed_stops_once_it_is_rejected(
    champion: Champion, registry: Registry
) -> None:
    champion.refresh()
    registry.standing, registry.unfit = ExpectedModel("2", "history-a"), True
    champion.refresh()
    champion.refresh()
    assert champion.require().model_version == "1"
    registry.no = {"1"}
    champion.refresh()
    with pytest.raises(ModelError, match="Reviewer rejected it"):
        champion.require()


def test_a_model_that_is_rejected_while_it_answers_answers_no_longer(
    champion: Champion, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    champion.refresh()
    registry.rejected = True
    champion.refresh()
    champion.refresh()
    assert caplog.text.count("A. Reviewer rejected it") == 1
    with client_of(champion, tmp_path) as client:
        assert client.get("/readyz").status_code == 503
        answer = client.post("/v1/score", json={"appointments": [{"appointment_id": "a"}]})
        assert (answer.status_code, "A. Reviewer rejected it" in answer.text) == (503, True)
    champion.stop()
    registry.rejected = False
    champion.refresh()
    assert champion.require().model_version == "1"


def test_what_an_operator_has_to_mend_is_said_once_and_the_model_answers(
    champion: Champion, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.standing = ExpectedModel("1", "history-a", warning="The alias champion in MLflow names version 2.")
    champion.refresh()
    champion.refresh()
    assert champion.require().model_version == "1"
    assert caplog.text.count("names version 2") == 1
    assert registry.opened == ["1"]


def test_a_service_whose_log_cannot_be_used_is_not_ready_until_it_can(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[StoreError] = []

    def require_answerable() -> None:
        if troubles:
            raise troubles[0]

    champion = Champion(
        expected=registry.ask,
        open_scorer=registry.open,
        run_smoke_test=registry.run_smoke_test,
        require_answerable=require_answerable,
    )
    assert not champion.is_ready
    champion._watch()
    assert champion.is_ready
    troubles.append(StoreError("scoring-log.db: the scoring log is missing."))
    for _ in range(2):
        champion._watch()
        assert not champion.is_ready
    assert caplog.text.count("Not ready: scoring-log.db: the scoring log is missing.") == 1
    troubles.clear()
    champion._watch()
    assert champion.is_ready
