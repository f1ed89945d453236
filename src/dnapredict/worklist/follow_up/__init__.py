"""What happened to each scored appointment.

Data flow: every list that is scored (`scored_appointments`) + the extract of a later day + recorded calls -> one row an
appointment (`outcome_store`) -> training, audit, trial and monitor.
"""
