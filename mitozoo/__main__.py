"""`python -m mitozoo`."""

from mitozoo.commands import main

if __name__ == "__main__":
    main()
