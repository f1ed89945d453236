"""Fitting: from a cohort to a calibrated and tested risk model.

In: a cohort and a configuration. Out: a model with its metrics. Never: a setting that was tuned on the test window;
only the choice between trees and logistic regression is made there.
"""
