"""From appointments to a worklist: scoring, the plan of calls, worklist files, and records of calls."""
