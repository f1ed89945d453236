"""Planned calls and recorded contacts, so that nobody is called twice or after an opt-out.

In: plans and recorded outcomes. Out: rows that are not called. Never: an identifier or a name; keyed hashes only.
"""
