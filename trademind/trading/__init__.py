"""Use cases: an order's way from a request to the broker, through limits and the journal, and back."""
