"""The parts of aNN with PyTorch doing the work. Names, arguments and errors are those that the assignment asks for.

Later assignments build on it. Read it freely: it shows what the library offers, and not how that is done.
"""
