"""Foundations: devices and seeds, numbers that overflow, the first two layers, low precision, and how to measure."""
