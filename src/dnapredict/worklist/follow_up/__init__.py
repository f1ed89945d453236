"""What happened to each scored appointment.

Data flow: every list that is scored (`scored_rows`) + the extract of a later day + recorded calls (`outcome_join`) ->
one row an appointment (`outcome_store`) -> training, audit, trial and monitor. Never: identifiers; only keyed hashes.
"""
