"""Analysis: bars in, signals out. Pure: no I/O, no clock, no event loop."""
