"""Backtests as jobs of the server: bars from the store, a process for each, reports that stay."""
