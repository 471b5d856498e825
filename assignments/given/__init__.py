"""Working parts of each assignment, built on PyTorch's own: an unfinished assignment never blocks a later one."""
