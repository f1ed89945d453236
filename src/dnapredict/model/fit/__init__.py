"""Fitting: from a cohort to a calibrated, tested risk model.

In: a cohort and a configuration. Out: a model with its figures. Never: a choice that follows from the test
window.
"""
