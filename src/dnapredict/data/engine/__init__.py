"""Engines: where Ibis expressions run, and queries that are compiled once and bound often.

In: expressions and tables. Out: Arrow tables. Never: a rule about appointments.
"""
