"""How the scoring log's tables grew, one step a file, in `versions`."""
