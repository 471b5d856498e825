"""The foundations of a00 with PyTorch doing the work; names, shapes and state-dict keys as the assignment asks for.

Later assignments build on it; read it freely, it shows what the library offers and not how it is done. Two parts for
which PyTorch has nothing of the kind, and on which nothing builds, are not here: `round_to` and `activation_bytes`.
"""
