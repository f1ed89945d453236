"""The Python interface for notebooks and scripts: one function for each verb of the command line.

In comes a path or a table in memory; out goes a frozen result with tables, figures and paths. Nothing is
computed here: each function calls the function of `pipeline` that its verb calls. Never a patient's value in
the `repr` or the HTML of a result.
"""
