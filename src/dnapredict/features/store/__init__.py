"""The history store: past appointments in files that answer for one patient without reading the rest.

In: checked rows, at `refresh`. Out: what was known before an appointment's `scored_at`. Never: an outcome
that was recorded later.
"""
