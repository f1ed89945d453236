"""Readers: read any file of appointments as columns of text with row numbers.

In: CSV, CSV.GZ, XLSX or Parquet. Out: a table with `row_number` and `row_fault`. Never: a parsed
value.
"""
