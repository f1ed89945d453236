"""Calls that were planned and contacts that were made, so that nobody is called twice or against a wish.

In: plans and recorded outcomes. Out: who is passed over. Never: a number or a name; keyed hashes only.
"""
