"""Validation: contract columns cast to their types, and the rules that reject a row.

In: mapped columns. Out: `Checked(rows, rejected)`. Never: a rejected row that is not counted.
"""
