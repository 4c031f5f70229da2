"""Market data as the server's clients want it: made of what the broker gives, and kept."""
