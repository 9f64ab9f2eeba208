"""`python -m vta_cli` is the `vta` command."""

from vta_cli.cli import main

if __name__ == "__main__":
    main()
