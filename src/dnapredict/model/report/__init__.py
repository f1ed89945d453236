"""Records of a training: model card, charts, tables and flat figures for MLflow.

In: a training and its stored model. Out: Markdown, charts, CSV and plain values. Never: a row of an
appointment.
"""
