"""Signals and backtests as a service: bars from the store, strategies on them, and what becomes of it."""
