"""Verbs for a scheduler: watch the model in use by week, and the whole weekly cycle."""
