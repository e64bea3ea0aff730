"""Floor 0, pure: evidence in, verdict out. No socket, clock, disk or randomness."""
