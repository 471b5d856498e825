"""What decides: judges compare what a check saw with what it should have seen. They run nothing."""
