"""The tools of those who run the course. Nothing of this package ships to students."""
