"""From a trust's extract to rows that keep the contract."""
