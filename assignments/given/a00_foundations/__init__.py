"""The foundations of a00, built from PyTorch's own functions. Names, shapes and state-dict keys are those of the assignment.

Later assignments build on it. You may read it: it shows what the library offers, and not how that is done. Two parts are
not here, because PyTorch has nothing of the kind and nothing builds on them: `round_to` and `activation_bytes`.
"""
