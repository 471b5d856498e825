"""Text that a submission may have shaped, made harmless for a terminal, a sheet and a page."""


def sanitize(text: str, kept: str = "\n\t") -> str:
    """The text with everything invisible shown as �: control characters, escapes, marks that turn the direction of writing."""
    return "".join(c if c.isprintable() or c in kept else "�" for c in text)
