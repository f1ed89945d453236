"""Files of a home: written whole or not at all, for their owner alone, locked, sealed and verified.

In: bytes and paths. Out: whole files. Never: half a file, or a damaged one that is read.
"""
