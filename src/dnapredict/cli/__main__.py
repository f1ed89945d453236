"""`python -m dnapredict.cli`, where the command `dnapredict` is not on the path."""

from dnapredict.cli import main

if __name__ == "__main__":
    main()
