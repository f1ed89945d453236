"""Evaluation: discrimination, calibration, reach at capacity, and their intervals.

In: outcomes and risks of appointments that the model did not see. Out: figures. Never: a figure about one
patient.
"""
