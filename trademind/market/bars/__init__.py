"""Bars of any size and span: what is stored, what is missing, and how that is fetched.

`spans` and `windows` reckon, `calendars` knows when an exchange is closed, `archive` answers from the store
and fills its gaps, `jobs` downloads what takes long.
"""
