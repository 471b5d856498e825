"""What is said about a grade: rows, explanations, and the views for terminal, page and JSON."""
