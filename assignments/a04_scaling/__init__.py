"""Scaling up: byte pairs, accumulation, mixed precision, checkpoints, metrics, and data parallelism."""
