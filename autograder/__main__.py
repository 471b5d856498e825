"""`python -m autograder …`: see `cli.py`."""

from autograder.cli import app

if __name__ == "__main__":
    app(prog_name="python -m autograder")
