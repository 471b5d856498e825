"""The training tools of a02 with PyTorch doing the work; names, arguments and errors as the assignment asks for.

Later assignments build on it; read it freely, it shows what the library offers and not how it is done.
"""
