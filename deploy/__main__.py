"""`python -m deploy` is `finsentry` without an installation."""

from deploy.cli import main

if __name__ == "__main__":
    main()
