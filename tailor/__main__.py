"""`python -m tailor`: the command line, for where `tailor` is not on the PATH."""

from .experiments.cli import main

if __name__ == "__main__":
    main()
