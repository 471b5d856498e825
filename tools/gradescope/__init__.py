"""The autograder zip for Gradescope, and a dry run of it."""
