"""Checks of a home: files, databases, secrets, permissions, ledgers and chains, for `dnapredict doctor`.

In: the folder of a home. Out: findings, each with what is wrong, where, and what mends it. Never: a check of its own of
what another module reads; every check calls the function of the module that owns the file.
"""
