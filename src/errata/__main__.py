"""`python -m errata`: the command line, where `errata` is not on the path."""

from errata.cli import main

if __name__ == "__main__":
    main(prog_name="errata")
