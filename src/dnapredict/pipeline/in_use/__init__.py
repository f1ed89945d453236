"""Verbs on a model in use, from what happened: bring outcomes back, plan and report a trial."""
