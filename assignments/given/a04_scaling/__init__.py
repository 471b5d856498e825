"""The scaling tools of a04. Libraries do the work where they can. Names, arguments and errors are those of the assignment.

Later assignments build on it. You may read it: it shows what the libraries offer, and not how the work is done.
"""
