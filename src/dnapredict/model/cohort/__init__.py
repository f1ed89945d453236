"""The cohort: labelled appointments in time order, and how they are split.

In: the matrix and outcomes. Out: arrays and windows of time. Never: a row of the test window in a training
window.
"""
