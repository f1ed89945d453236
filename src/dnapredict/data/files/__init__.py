"""Files of a home: written whole or not at all, readable by their owner alone, locked, sealed and verified.

In: bytes and paths. Out: complete files. Never: half a file, or a damaged file that is read as if it were sound.
"""
