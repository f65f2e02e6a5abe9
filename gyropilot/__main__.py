"""`gyropilot` and `python -m gyropilot`: the command line, which may be interrupted from its first moment on."""

import sys

from gyropilot.errors import INTERRUPTED


def main() -> None:
    """Loads the command line and runs it: an interruption is one sentence on stderr and an exit code."""
    try:
        from gyropilot.cli import main as answer  # takes about a second

        answer()
    except KeyboardInterrupt:
        sys.stderr.write("gyropilot: interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
