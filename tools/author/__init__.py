"""For those who write assignments: stubs, golden values, and the measurement of the grader."""
