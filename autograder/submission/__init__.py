"""What is graded: archives, working copies, the zip to upload, and a student's files over the term."""
