"""`python -m errata.cli`: the same as `errata`."""

from errata.cli import main

if __name__ == "__main__":
    main(prog_name="errata")
