"""Gradescope: the report as results.json, the run inside its container, and the policies of a course."""
