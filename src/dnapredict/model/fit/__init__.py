"""Fitting: from a cohort to a calibrated and tested risk model.

In: a cohort and a configuration. Out: a model with its metrics. Never: a choice that follows from the test
window.
"""
