"""The demo: every step of a trust on synthetic patients, by the functions that a trust uses.

In: an empty home. Out: a model in use, a quarter of lists, calls and outcomes, and their reports. Never: a row of a
real patient.
"""
