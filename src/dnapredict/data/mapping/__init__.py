"""Mapping: columns, joined files and codes of a foreign extract under the contract's names.

In: columns as read, and a mapping. Out: contract columns. Never: a patient's number that left without a
pseudonym.
"""
