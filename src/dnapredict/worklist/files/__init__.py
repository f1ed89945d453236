"""Worklist files: CSV, XLSX and Parquet out, watched folders in, and the lists that a home keeps.

In: a planned worklist. Out: whole files. Never: half a file, or a file written over its own input.
"""
