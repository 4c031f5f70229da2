"""What was told of contracts, kept over restarts: real brokers at the real paper gateway, and real files."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.stage import Stage, open_stage
from tests.gateway.bench import START, until
from trademind import BarRequest, ContractQuery, IBKRBroker, OrderRequest
from trademind.brokers.contract_store import ContractFile
from trademind.domain import Contract, ContractDetails, SecType
from trademind.errors import ContractNotFound, NotConnected
from trademind.gateway.faults import Drop, Step
from trademind.gateway.server import PaperGatewayServer

AAPL = ContractQuery(symbol="AAPL")
AAPL_ID = 265598
ACCOUNT = "DUTM00001"
NO_CON_ID = 424242


def told(con_id: int, symbol: str, as_of: datetime = START) -> ContractDetails:
    contract = Contract(
        con_id=con_id, symbol=symbol, sec_type=SecType.STOCK, exchange="SMART", currency="USD", strike=None
    )
    return ContractDetails(
        contract=contract,
        as_of=as_of,
        long_name=f"{symbol} INC",
        min_tick=Decimal("0.01"),
        size_increment=Decimal(1),
        order_types=("LMT", "MKT"),
    )


class CountingFile(ContractFile):
    """A file that knows what was written at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, gateway="here")
        self.written: list[int] = []

    def save(self, account_id: str, changes: Mapping[ContractQuery, ContractDetails | None]) -> None:
        self.written.append(len(changes))
        super().save(account_id, changes)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> CountingFile:
    return CountingFile(tmp_path / "contracts.db")


def questions(stage: Stage) -> int:
    return len(stage.asked("reqContractDetails"))


async def with_known(stage: Stage, file: ContractFile, *known: ContractDetails) -> IBKRBroker:
    """A broker that was told of these before it was started."""
    broker = await stage.connect(contracts=file)
    account_id = broker.session.account_id
    assert account_id is not None
    file.save(account_id, {ContractQuery(symbol=each.contract.symbol): each for each in known})
    return broker


async def test_a_start_asks_nothing_that_is_known(stage: Stage, file: CountingFile) -> None:
    first = await stage.connect(contracts=file)
    known = [await first.qualify(query) for query in (AAPL, ContractQuery(con_id=AAPL_ID))]
    await stage.leave(first)
    asked = questions(stage)
    second = await stage.connect(contracts=ContractFile(file._path, gateway="here"))
    assert [await second.qualify(query) for query in (AAPL, ContractQuery(con_id=AAPL_ID))] == known
    assert known[0].as_of == START
    await second.get_bars(AAPL, BarRequest())
    assert questions(stage) == asked
    stage.move(1)
    assert (await second.qualify(AAPL, fresh=True)).as_of == START + timedelta(seconds=1)
    assert questions(stage) == asked + 1


async def test_what_is_old_is_used_at_once_and_asked_again_behind_it(
    stage: Stage, file: CountingFile
) -> None:
    old = told(AAPL_ID, "AAPL", START - timedelta(days=3))
    broker = await with_known(stage, file, old)
    assert await broker.qualify(AAPL) == old
    await until(lambda: AAPL in broker._contracts._known and broker._contracts._known[AAPL].as_of == START)
    assert (await broker.qualify(AAPL)).long_name == "APPLE INC"
    assert questions(stage) == 1
    await stage.leave(broker)
    assert file.load(broker.session.account_id or ACCOUNT)[AAPL].as_of == START


async def test_many_old_ones_are_asked_again_one_at_a_time(stage: Stage, file: CountingFile) -> None:
    symbols = ("AAPL", "MSFT", "NVDA", "AMZN", "SPY", "QQQ")
    broker = await with_known(stage, file, *(told(1, each, START - timedelta(days=3)) for each in symbols))
    session = broker._session()
    open_at_once: list[int] = []
    ask = session.requests.ask

    async def counting(*args: object, **options: object) -> object:
        open_at_once.append(len(session.requests._open))
        return await ask(*args, **options)  # type: ignore[arg-type]

    session.requests.ask = counting  # type: ignore[method-assign]
    for each in symbols:
        await broker.qualify(ContractQuery(symbol=each))
    await until(lambda: questions(stage) == len(symbols) and not broker._contracts._overdue)
    assert open_at_once == [0] * len(symbols)


async def test_what_ib_does_not_know_any_more_is_forgotten(stage: Stage, file: CountingFile) -> None:
    gone = ContractQuery(symbol="GONE")
    broker = await with_known(stage, file, told(NO_CON_ID, "GONE", START - timedelta(days=2)))
    assert (await broker.qualify(gone)).contract.con_id == NO_CON_ID
    await until(lambda: gone not in broker._contracts._known)
    with pytest.raises(ContractNotFound):
        await broker.qualify(gone)
    await stage.leave(broker)
    assert gone not in file.load(broker.session.account_id or ACCOUNT)


async def test_a_symbol_that_is_another_contract_now(
    stage: Stage, file: CountingFile, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await with_known(stage, file, told(272093, "AAPL", START - timedelta(days=2)))
    placed = await broker.place_order(OrderRequest(side="BUY", quantity=1, symbol="AAPL"))  # type: ignore[arg-type]
    assert placed.contract.con_id == AAPL_ID
    assert "AAPL is con id 265598 now; it was 272093" in caplog.text


async def test_an_order_by_its_con_id_asks_nothing_first(stage: Stage, file: CountingFile) -> None:
    broker = await stage.connect(contracts=file)
    known = await broker.qualify(ContractQuery(con_id=AAPL_ID))
    stage.move(3 * 86_400)
    asked = questions(stage)
    stage.play(Step(do=Drop(), request="reqContractDetails", times=None))
    placed = await broker.place_order(OrderRequest(side="BUY", quantity=1, con_id=AAPL_ID))  # type: ignore[arg-type]
    assert placed.contract == known.contract
    await until(lambda: questions(stage) == asked + 1)  # and behind it, in vain


async def test_a_con_id_that_ib_refuses_is_asked_for_anew(stage: Stage, file: CountingFile) -> None:
    broker = await with_known(stage, file, told(NO_CON_ID, "AAPL"), told(NO_CON_ID, "MSFT"))
    with pytest.raises(ContractNotFound):
        await broker.get_bars(AAPL, BarRequest())
    assert await broker.get_bars(AAPL, BarRequest())
    msft = ContractQuery(symbol="MSFT")
    with pytest.raises(ContractNotFound):
        await broker.get_quote(msft)
    assert (await broker.get_quote(msft)).bid is not None


async def test_what_is_old_is_used_while_ib_is_away(stage: Stage, file: CountingFile) -> None:
    old = told(AAPL_ID, "AAPL", START - timedelta(days=3))
    broker = await with_known(stage, file, old)
    await broker._contracts._remember()
    await broker.disconnect()
    assert await broker.qualify(AAPL) == old
    await until(lambda: not broker._contracts._overdue)
    assert await broker.qualify(AAPL) == old
    with pytest.raises(NotConnected):
        await broker.qualify(ContractQuery(symbol="MSFT"))


async def test_writes_are_few(stage: Stage, file: CountingFile) -> None:
    broker = await stage.connect(contracts=file)
    chain = await broker.get_options(AAPL_ID)
    expiration = chain[0].expirations[2]
    options = await broker.find_contracts(
        ContractQuery(symbol="AAPL", sec_type=SecType.OPTION, last_trade_date=expiration)
    )
    queries = [ContractQuery(con_id=each.contract.con_id) for each in options]
    for query in queries:
        await broker.qualify(query)
    await broker.disconnect()
    assert sum(file.written) == len(queries) + 1  # and the underlying
    assert len(queries) > 30
    assert len(file.written) < 10
    assert len(file.load(broker.session.account_id or ACCOUNT)) == len(queries) + 1


async def test_another_gateway_at_the_same_port_is_another_place(tmp_path: Path) -> None:
    file = CountingFile(tmp_path / "contracts.db")
    port = 0
    for account_id in ("DUTM00001", "DUTM00002"):
        async with PaperGatewayServer(port=port, accounts={account_id: Decimal(1000)}) as gateway:
            port = gateway.port
            async with IBKRBroker(port=port, contracts=file) as broker:
                assert (await broker.qualify(AAPL)).contract.con_id == AAPL_ID
        file.save("DUTM00001", {AAPL: told(NO_CON_ID, "AAPL")})
    assert file.load("DUTM00002")[AAPL].contract.con_id == AAPL_ID


# The file


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    file = ContractFile(tmp_path / "new" / "contracts.db", gateway="here")
    assert file.load(ACCOUNT) == {}
    option = ContractQuery(
        symbol="AAPL", sec_type=SecType.OPTION, last_trade_date="20261218", strike=Decimal("222.5"), right="C"
    )
    details = told(7, "AAPL", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    details = replace(details, contract=replace(details.contract, strike=Decimal("222.5"), right="C"))
    file.save(ACCOUNT, {option: details, AAPL: told(8, "AAPL")})
    assert file.load(ACCOUNT) == {option: details, AAPL: told(8, "AAPL")}
    assert list(file.load(ACCOUNT)) == [option, AAPL]  # the oldest first
    file.save(ACCOUNT, {option: None})
    assert list(file.load(ACCOUNT)) == [AAPL]


def test_nothing_is_known_of_another_place(tmp_path: Path) -> None:
    here = ContractFile(tmp_path / "contracts.db", gateway="127.0.0.1:4002")
    here.save(ACCOUNT, {AAPL: told(1, "AAPL")})
    there = ContractFile(tmp_path / "contracts.db", gateway="127.0.0.1:7497")
    assert there.load(ACCOUNT) == {}
    assert here.load("DU1234567") == {}
    there.save(ACCOUNT, {AAPL: told(2, "AAPL")})
    assert here.load(ACCOUNT)[AAPL].contract.con_id == 1


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    file = ContractFile(tmp_path / "contracts.db", gateway="here", size=3)
    for hour, symbol in enumerate("ABCDE"):
        file.save(ACCOUNT, {ContractQuery(symbol=symbol): told(1, symbol, START + timedelta(hours=hour))})
    assert [query.symbol for query in file.load(ACCOUNT)] == ["C", "D", "E"]


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b"\0" * 8192])
def test_a_damaged_file_is_begun_anew(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "contracts.db"
    path.write_bytes(damage)
    file = ContractFile(path, gateway="here")
    assert file.load(ACCOUNT) == {}
    assert "is damaged" in caplog.text
    file.save(ACCOUNT, {AAPL: told(1, "AAPL")})
    assert AAPL in file.load(ACCOUNT)


def test_a_page_that_was_lost_costs_the_questions_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "contracts.db"
    file = ContractFile(path, gateway="here")
    file.save(ACCOUNT, {ContractQuery(symbol=f"A{n}"): told(n + 1, f"A{n}") for n in range(200)})
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert len(file.load(ACCOUNT)) < 200
    file.save(ACCOUNT, {AAPL: told(1, "AAPL")})
    file.save(ACCOUNT, {AAPL: told(1, "AAPL")})
    assert "is damaged" in caplog.text
    assert AAPL in file.load(ACCOUNT)


def test_what_another_version_wrote_is_asked_for_anew(tmp_path: Path) -> None:
    path = tmp_path / "contracts.db"
    file = ContractFile(path, gateway="here")
    file.save(ACCOUNT, {AAPL: told(1, "AAPL"), ContractQuery(symbol="MSFT"): told(2, "MSFT")})
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE contracts SET answer = '{\"con_id\": 1}' WHERE question LIKE '%AAPL%'")
    raw.close()
    assert [query.symbol for query in file.load(ACCOUNT)] == ["MSFT"]


def test_a_path_that_cannot_be_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_text("")
    file = ContractFile(tmp_path / "file" / "contracts.db", gateway="here")
    assert file.load(ACCOUNT) == {}
    for _ in range(3):
        file.save(ACCOUNT, {AAPL: told(1, "AAPL")})
    (record,) = caplog.records
    assert "cannot be kept" in record.getMessage()
