"""The synthetic care board: made-up appointments in the contract's columns, with the true risk of each.

In: a size, a seed and a world. Out: Parquet files. Never: a row that comes from a real person.
"""
