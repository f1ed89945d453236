"""The rooms of the synthetic ICB: one subject a file; `dnapredict.data.simulate` is the front door."""
