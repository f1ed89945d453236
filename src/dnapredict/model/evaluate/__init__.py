"""Evaluation of risks: discrimination, calibration, reach at capacity, and their intervals.

In: outcomes and risks of appointments that the model did not see. Out: metrics. Never: a metric of one
patient.
"""
