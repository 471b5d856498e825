"""The scaling tools of a04 with libraries doing the work where they can; names, arguments and errors as the assignment asks for.

Later assignments build on it; read it freely, it shows what the libraries offer and not how it is done.
"""
