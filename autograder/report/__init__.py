"""What a grade came to, in rows, and the forms in which people read it: terminal, page and JSON."""
