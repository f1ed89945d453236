"""Mapping: bring the columns, joined files and codes of any extract to the names of the contract.

In: columns as read, and a mapping. Out: contract columns. Never: a patient's number without a pseudonym,
where the mapping asks for pseudonyms.
"""
