"""Text that a submission may have shaped, made harmless for a terminal, a sheet and a page."""


def sanitize(text: str, kept: str = "\n\t") -> str:
    """The text with � for every invisible character: controls, escapes, marks that turn the direction of writing.

    kept: invisible characters that stay.
    """
    return "".join(c if c.isprintable() or c in kept else "�" for c in text)
