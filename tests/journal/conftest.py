"""Real databases for the journal's tests: SQLite files, and a PostgreSQL server of their own.

The server is made from the machine's own binaries, listens on a socket in a temporary directory and nowhere
else, and is ended by its process id. Every test has a database to itself.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server, by the directory of its socket."""

    directory: Path
    binaries: Path
    process: "subprocess.Popen[bytes]"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def run(self, statement: str, database: str = "postgres") -> str:
        """What psql prints."""
        command = [str(self.binaries / "psql"), "-h", str(self.directory), "-U", "postgres", "-d", database]
        result = subprocess.run(
            [*command, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return result.stdout.strip()


def _binaries() -> Path | None:
    """Where this machine's PostgreSQL is; Debian does not have it on the path."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in found if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _user() -> str | None:
    """Whom the server runs as: it refuses to be root's."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql")
    user = _user()
    # pytest's own directories may not be entered by another user.
    root = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(root, account.pw_uid, account.pw_gid)
        as_user = {"user": user, "extra_groups": []} if user is not None else {}
        data = root / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=root,
            **as_user,  # type: ignore[call-overload]
        )
        # Nobody pulls the plug here, and a killed process leaves what it has written to the system.
        quick = [] if os.environ.get("JOURNAL_TEST_FSYNC") else ["-c", "fsync=off"]
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", root, "-c", "listen_addresses=", *quick],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=root,
            **as_user,  # type: ignore[call-overload]
        )
        try:
            made = Server(root, binaries, process)
            _wait(made)
            yield made
        finally:
            process.send_signal(signal.SIGINT)  # ends its sessions, too
            process.wait(timeout=30)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _wait(server: Server) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.run("SELECT 1")
        except subprocess.CalledProcessError:
            time.sleep(0.05)  # the server tells nobody that it has started: it is asked until it answers
        else:
            return
    raise RuntimeError(f"PostgreSQL in {server.directory} did not start")


_numbers = itertools.count(1)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


@pytest.fixture
def postgresql_place(server: Server) -> Iterator[str]:
    name = f"journal{next(_numbers)}"
    server.run(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> str:
    """Where a new journal can be, in either database."""
    where: str = request.getfixturevalue(f"{request.param}_place")
    return where
