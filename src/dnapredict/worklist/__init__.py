"""From appointments to a worklist: the one scoring path, and what a booking team can do with it."""
