"""From a trust's extract to typed rows that meet the data contract."""
