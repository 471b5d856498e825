"""What a check returned, what is expected of it, and how far the two may lie apart."""
