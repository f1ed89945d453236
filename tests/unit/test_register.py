"""The register of factors: what it must say, what it refuses, and how a person reads it."""

import datetime
import json
import re

import pytest
from pydantic import ValidationError
from tests.end_to_end.conftest import command

from dnapredict.config.factor_register import Factor, FactorRegister, ReasonNumber, Status
from dnapredict.config.loading import load, shipped
from dnapredict.data.contract.columns import NAMES, audit_only
from dnapredict.errors import ConfigurationError
from dnapredict.features.factors import EXPRESSIONS, fed_by, verify
from dnapredict.quality.factor_availability import register_json, register_lines

REGISTER = load(shipped("training/factors.toml"), FactorRegister)
AGREED = {"agreed_by": "The equality group", "agreed_on": datetime.date(2026, 1, 5)}


def factor(**fields: object) -> dict[str, object]:
    usual = {
        "name": "lead_days",
        "title": "Wait",
        "class": "operational",
        "columns": ["booked_at"],
        "why": "w",
    }
    return usual | AGREED | fields


def register(*factors: dict[str, object]) -> FactorRegister:
    return FactorRegister.model_validate({"version": "1", "factors": factors})


def test_the_shipped_register_agrees_on_what_can_be_computed_and_says_why():
    verify(REGISTER)
    assert {each.name for each in REGISTER.agreed} <= EXPRESSIONS.keys()
    assert EXPRESSIONS.keys() <= {each.name for each in REGISTER.factors}
    for each in REGISTER.factors:
        assert len(each.why) > 15
        assert set(each.columns) <= set(NAMES)


def test_no_agreed_or_proposed_factor_of_the_shipped_register_draws_on_what_is_held_for_the_audit():
    kept = [each for each in REGISTER.factors if each.status is not Status.WITHDRAWN]
    assert not {name for each in kept for name in each.columns} & audit_only()


@pytest.mark.parametrize("each", [each for each in REGISTER.agreed if each.reason], ids=lambda each: each.name)
def test_a_reason_holds_for_one_as_for_many(each: Factor):
    """No 1 stands before a word in the plural, and a single event is told as one."""
    told = (each.reason_once or each.reason).format_map(dict.fromkeys(each.placeholders, ReasonNumber(1)))
    assert not re.search(r"(?<!in )\b1 (days|times|weeks|(past )?appointments)\b", told)


@pytest.mark.parametrize("status", ["agreed", "proposed"])
@pytest.mark.parametrize("column", sorted(audit_only()))
def test_a_factor_that_draws_on_a_column_held_for_the_audit_is_refused(status: str, column: str):
    with pytest.raises(ConfigurationError, match=f"'lead_days' draws on '{column}', held for the audit only"):
        verify(register(factor(columns=[column], status=status)))


def test_whom_a_call_goes_to_feeds_no_factor():
    with pytest.raises(ConfigurationError, match="'lead_days' draws on 'carer_or_child', held for"):
        verify(register(factor(columns=["carer_or_child"])))


def test_a_provider_a_place_and_the_referral_are_in_no_model_until_somebody_agrees():
    for name in ("provider_rate", "place_rate", "days_since_referral"):
        found = REGISTER.factor(name)
        assert (found.factor_class, found.status) == ("operational", "proposed")
        assert found not in fed_by(REGISTER, frozenset(NAMES))
        verify(register(found.model_dump(by_alias=True) | AGREED | {"status": "agreed"}))


def test_an_agreement_needs_a_group_and_a_date():
    with pytest.raises(ValidationError, match="agreed but lacks 'agreed_by' or 'agreed_on'"):
        register(factor(agreed_by=""))


def test_a_withdrawn_factor_needs_a_name_a_date_and_a_reason_and_reaches_no_model():
    with pytest.raises(ValidationError, match="withdrawn but lacks"):
        register(factor(status="withdrawn"))
    gone = factor(
        status="withdrawn",
        withdrawn_by="The equality group",
        withdrawn_on=datetime.date(2026, 5, 1),
        withdrawn_why="It misled.",
        columns=["ethnic_category_code"],
    )
    verify(register(gone))
    assert register(gone).agreed == ()


def test_a_reason_quotes_only_what_the_register_knows():
    with pytest.raises(ValidationError, match="quotes 'lead_weeks', which is no factor of the register"):
        register(factor(reason="Booked {lead_weeks} weeks ago"))
    with pytest.raises(ValidationError, match="braces in 'reason' do not pair"):
        register(factor(reason="Booked {lead_days days ahead"))


def test_the_register_fits_a_window_of_80_columns_and_tells_every_factor():
    lines = list(register_lines(REGISTER, frozenset({"booked_at", "starts_at"})))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert all(f"\n{each.name}: " in text for each in REGISTER.factors)
    assert "CANNOT BE FED: the extract lacks imd_decile." in text
    assert "Withdrawn by" in text


def test_as_json_every_field_is_there_and_what_an_extract_lacks():
    told = register_json(REGISTER, frozenset({"booked_at", "starts_at"}))
    by_name = {each["name"]: each for each in told["factors"]}
    assert by_name["lead_days"]["fed"]
    assert by_name["imd_decile"]["missing"] == ["imd_decile"]
    assert by_name["imd_decile"]["class"] == "socio-economic"
    assert "fed" not in by_name["ethnic_category"]
    assert "fed" not in register_json(REGISTER, None)["factors"][0]


def test_the_verb_reads_only_the_columns_of_an_extract(tmp_path):
    extract = tmp_path / "extract.csv"
    extract.write_text("appointment_id,booked_at,starts_at,imd_decile\nMARKED,x,y,z\n", encoding="utf-8")
    done = command("factors", extract)
    assert done.returncode == 0, done.stderr
    assert "The extract can feed" in done.stdout
    assert "MARKED" not in done.stdout + done.stderr
    told = json.loads(command("factors", extract, "--json").stdout)
    assert {each["name"]: each.get("fed") for each in told["factors"]}["imd_decile"] is True
