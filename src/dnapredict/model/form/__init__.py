"""Model forms: trees or splines, a calibration and site shifts, as functions from factors to a risk.

In: rows of factors. Out: risks and exact SHAP values. Never: a label; nothing here is fitted on outcomes it
is judged by.
"""
