"""Disclosure control: which counts are hidden, and how the others are rounded.

In: exact counts of all tables. Out: cells that must not be printed. Never: a decision for one table without
the others.
"""
