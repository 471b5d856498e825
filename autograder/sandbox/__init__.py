"""Where student code runs: the fork server, its workers, and what shuts them in."""
