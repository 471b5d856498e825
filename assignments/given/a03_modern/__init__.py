"""The modern transformer of a03 with PyTorch doing the work; names, shapes and state-dict keys as the assignment asks for.

Later assignments build on it; read it freely, it shows what the library offers and not how it is done.
"""
