"""`python -m harness`: the command line where nothing is installed, from a copied tree."""

from harness.cli.main import main

if __name__ == "__main__":
    main()
