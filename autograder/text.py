"""Text that a submission may have shaped, made harmless for a terminal, a sheet and a page."""

CUT = "… (cut here) …"


def sanitize(text: str, kept: str = "\n\t") -> str:
    """The text with � for every invisible character: controls, escapes, marks that turn the direction of writing.

    kept: invisible characters that stay.
    """
    return "".join(c if c.isprintable() or c in kept else "�" for c in text)


def shorten(text: str, most: int) -> str:
    """The text in at most so many characters: its beginning, a line that says that something is left out, and its end."""
    half = (most - len(CUT) - 2) // 2
    return text if len(text) <= most else f"{text[:half]}\n{CUT}\n{text[-half:]}"
