"""Model forms: trees or splines, a calibration and site shifts, as functions from factors to a risk.

In: rows of factors. Out: risks and exact SHAP values. Never: an outcome; fitting is in
`model.fit`.
"""
