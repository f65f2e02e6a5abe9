"""`python -m gyropilot`: the command line, where the installed command is not on the path."""

from gyropilot.cli import main

if __name__ == "__main__":
    main()
