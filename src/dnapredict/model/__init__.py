"""The risk of a missed appointment: cohort, fitting, evaluation, the stored model and its reasons.

In: the matrix of factors and the outcomes. Out: a calibrated model on disk, its metrics, and the reasons of each risk.
Never: a row of the test window in fitting, nor a factor that was recorded at or after `scored_at`.
"""
