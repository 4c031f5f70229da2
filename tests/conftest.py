"""For all tests."""

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the garbage collector the thousands of tests and modules: looking through them takes long enough
    to outlast the short deadlines that some tests set."""
    gc.collect()
    gc.freeze()
