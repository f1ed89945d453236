"""Validation: cast the contract columns to their types and reject the rows that break a rule.

In: mapped columns. Out: `Checked(rows, rejected)`. Never: a rejected row that is not counted.
"""
