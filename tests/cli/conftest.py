"""One server for the tests that only ask it."""

from collections.abc import Iterator

import pytest

from tests.cli.running import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server on its own paper gateway, with a quarter of a million."""
    with running(
        "server",
        "start",
        "--port",
        "0",
        cwd=tmp_path_factory.mktemp("server"),
        TRADEMIND_PAPER__CASH="250000",
    ) as server:
        yield server
