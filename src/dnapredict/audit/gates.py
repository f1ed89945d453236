"""All gates in their order: first the records, then what a risk means, then who is reached."""

from dnapredict.audit.comparisons import Evidence
from dnapredict.audit.label_gate import label_gate
from dnapredict.audit.reach_gates import allocation_gate, change_gate, ranking_gate, reach_gate
from dnapredict.audit.record_gates import calibration_gate, evidence_gate, records_gate
from dnapredict.audit.verdicts import Gate, Verdict, overall

__all__ = ["PRIMARY_GATE", "judge"]

PRIMARY_GATE = {"reach": "G3", "calibration": "G2"}


def judge(evidence: Evidence) -> tuple[Verdict, tuple[Gate, ...]]:
    """Ask every gate and sum up.

    For capacity planning nobody is called, so that the gates about reach do not apply.
    """
    gates: list[Gate | None] = [records_gate(evidence), label_gate(evidence), calibration_gate(evidence)]
    if evidence.policy.primary == "reach":
        gates += [
            reach_gate(evidence),
            ranking_gate(evidence),
            allocation_gate(evidence),
            change_gate(evidence),
        ]
    gates.append(evidence_gate(evidence))
    asked = tuple(gate for gate in gates if gate is not None)
    return overall(asked, primary=PRIMARY_GATE[evidence.policy.primary]), asked
