"""What students clone: built by an allow-list, and scanned."""
