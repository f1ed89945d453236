"""Comparisons: each group against everyone else, by month, and under each rule of allocation.

In: counts by group. Out: differences with intervals. Never: a comparison that the policy did not fix
beforehand.
"""
