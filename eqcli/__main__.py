"""`python -m eqcli`."""

from eqcli.cli.app import main

if __name__ == "__main__":
    main()
