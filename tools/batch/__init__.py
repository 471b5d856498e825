"""Grading a class, on one machine or a cluster."""
