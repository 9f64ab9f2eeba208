"""The `vta` command, which is also `python -m vta_cli`."""

import sys


def main() -> None:
    """Run the command; Ctrl-C while the parser is still being imported is no traceback either."""
    try:
        from vta_cli.cli import main as run  # noqa: PLC0415 - what takes the time is this import
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
