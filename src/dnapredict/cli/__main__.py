"""`python -m dnapredict.cli`, for where the program's folder is not on the path."""

from dnapredict.cli import main

if __name__ == "__main__":
    main()
