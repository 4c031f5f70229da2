"""`python -m trademind` is `trademind`."""

from trademind.cli import main

if __name__ == "__main__":
    main()
