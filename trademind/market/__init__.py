"""Market data beyond the broker: the quote hub, which serves many clients at once."""
