"""The `mitozoo` command from a checkout: `python cli.py --help`."""

from mitozoo.commands import main

if __name__ == "__main__":
    main()
