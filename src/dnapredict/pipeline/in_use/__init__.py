"""Verbs on a model in use: bring outcomes back, watch it by week, plan and report a trial."""
