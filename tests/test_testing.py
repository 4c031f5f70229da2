"""The pytest plugin, used as its users use it: in test files of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

import trademind

pytest_plugins = ["pytester"]

ROOT = Path(trademind.__file__).parent.parent
PLUGIN = ("-p", "trademind.testing")

SYNC_TEST = """
    from decimal import Decimal
    import pytest
    from ib_async import IB, LimitOrder, MarketOrder, Stock

    AAPL = Stock("AAPL", "SMART", "USD", conId=265598)

    @pytest.fixture
    def ib(paper_gateway):
        ib = IB()
        ib.connect(paper_gateway.host, paper_gateway.port, clientId=1, timeout=20)
        yield ib
        ib.disconnect()

    def finished(ib, trade):
        while not trade.isDone():
            ib.sleep(0.01)

    def test_a_fill(ib, market, paper_account):
        market.set_price("AAPL", 100)
        finished(ib, ib.placeOrder(AAPL, MarketOrder("BUY", 10)))
        assert paper_account.position("AAPL") == 10
        (fill,) = paper_account.executions
        assert (fill.symbol, fill.side, fill.quantity, fill.price) == ("AAPL", "BUY", 10, 100)
        assert paper_account.cash == 100_000 - 1000 - fill.commission
        assert paper_account.net_liquidation == 100_000 - fill.commission
        (position,) = paper_account.positions
        assert position == ("AAPL", 10, 100 + fill.commission / 10)
        (order,) = paper_account.completed_orders
        assert (order.status, order.order_type, order.filled) == ("Filled", "MKT", 10)

    def test_a_new_account_in_every_test(paper_account):
        assert (paper_account.cash, paper_account.positions, paper_account.executions) == (100_000, [], [])

    def test_a_halt(ib, market, paper_account):
        market.set_price("AAPL", 100)
        market.halt("AAPL")
        trade = ib.placeOrder(AAPL, LimitOrder("BUY", 10, 101))
        paper_account.wait_for(lambda account: account.orders)
        market.advance(60)
        assert paper_account.position("AAPL") == 0
        market.resume("AAPL")
        assert paper_account.position("AAPL") == 10
        finished(ib, trade)

    def test_time(ib, market, paper_gateway):
        before = market.now
        assert ib.reqCurrentTime() == before
        assert market.advance(90) == paper_gateway.now
        assert (ib.reqCurrentTime() - before).total_seconds() == 90
        with pytest.raises(ValueError, match="back"):
            market.advance(-1)

    def test_prices_move_with_the_clock_only(market):
        first = market.price("AAPL")
        assert market.price("AAPL") == first
        market.advance(3600)
        assert market.price("AAPL") != first
        market.set_price("AAPL", "12.34")
        market.advance(3600)
        assert market.price("AAPL") == Decimal("12.34")
        market.release("AAPL")
        assert market.price("AAPL") != Decimal("12.34")

    def test_bid_and_ask(ib, market):
        ticker = ib.reqMktData(AAPL)
        market.set_price("AAPL", 10, bid=9.99, ask=10.01, size=300)
        while ticker.bid != 9.99:
            ib.sleep(0.01)
        assert (ticker.last, ticker.ask, ticker.bidSize) == (10, 10.01, 300)

    def test_mistakes(market, paper_account):
        with pytest.raises(ValueError, match="NOPE"):
            market.set_price("NOPE", 1)
        with pytest.raises(ValueError, match="steps of 0.01"):
            market.set_price("AAPL", 1.001)
        with pytest.raises(ValueError, match="'abc' is not a number"):
            market.set_price("AAPL", "abc")
        with pytest.raises(TimeoutError, match="not so within"):
            paper_account.wait_for(lambda account: account.orders, timeout=0.01)

    def test_faults(ib, market, tmp_path):
        from trademind.gateway.faults import Fail, Step
        file = tmp_path / "faults.yaml"
        file.write_text("steps: [{do: drop, message: error, times: always}]")
        step = Step(do=Fail(200, "none"), request="reqContractDetails", times=None)
        assert market.script(step, file) == [1, 2]
        market.clear_faults()
        assert ib.reqContractDetails(AAPL)

    @pytest.mark.paper_gateway(cash=5_000, seed=1)
    def test_a_small_account(paper_account):
        assert paper_account.cash == 5_000

    @pytest.mark.paper_gateway(accounts={"DU1": 1_000, "DU2": 2_000})
    def test_two_accounts(ib, market, paper_gateway, paper_account):
        assert ib.managedAccounts() == ["DU1", "DU2"]
        assert (paper_account.id, paper_account.cash) == ("DU1", 1_000)
        second = paper_gateway.account("DU2")
        market.set_price("AAPL", 100)
        finished(ib, ib.placeOrder(AAPL, MarketOrder("BUY", 10, account="DU2")))
        assert (second.position("AAPL"), paper_account.positions) == (10, [])
        assert second.cash == 1_000 - second.executions[0].commission
        with pytest.raises(ValueError, match="no account 'DU3', but DU1, DU2"):
            paper_gateway.account("DU3")

    @pytest.mark.paper_gateway(pacing=True)
    def test_pacing(ib):
        codes = []
        ib.errorEvent += lambda req_id, code, *rest: codes.append(code)
        ib.client.MaxRequests = 0
        for _ in range(60):
            ib.client.reqCurrentTime()
        while not codes:
            ib.sleep(0.01)
        assert codes[0] == 100
"""

ASYNC_TEST = """
    import asyncio
    import pytest
    from ib_async import IB, LimitOrder, Stock

    {mark}
    async def test_in_the_tests_own_loop(paper_gateway, market, paper_account):
        ib = IB()
        await ib.connectAsync(paper_gateway.host, paper_gateway.port, clientId=1, timeout=20)
        market.set_price("AAPL", 100)
        trade = ib.placeOrder(Stock("AAPL", "SMART", "USD", conId=265598), LimitOrder("BUY", 10, 95))
        paper_account.wait_for(lambda account: account.orders)
        market.set_price("AAPL", 95)
        assert paper_account.position("AAPL") == 10
        async with asyncio.timeout(10):
            while not trade.fills:
                await asyncio.sleep(0)
        ib.disconnect()
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In a process of its own: what it loads cannot be loaded twice in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        return pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)


def test_synchronous_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SYNC_TEST)
    run(pytester, "--strict-markers").assert_outcomes(passed=11)


@pytest.mark.parametrize(("mode", "mark"), [("auto", ""), ("strict", "@pytest.mark.asyncio")])
def test_asynchronous_tests(pytester: pytest.Pytester, mode: str, mark: str) -> None:
    pytester.makepyfile(ASYNC_TEST.format(mark=mark))
    pytester.makeini(f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    run(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("hours='never'", "hours are 'always' or 'exchange', not 'never'"),
        ("5_000", "*takes arguments by their names, as in cash=5_000; not 5000"),
        ("cash=1, accounts={'DU1': 1}", "*leave `cash` out"),
        ("accounts={'All': 1}", "'All' is no paper account's id*"),
    ],
)
def test_a_mistaken_marker_is_an_error_of_its_test(
    pytester: pytest.Pytester, arguments: str, error: str
) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.paper_gateway({arguments})
        def test_it(paper_gateway):
            pass
    """)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*ValueError: {error}*"])


def test_the_fixtures_are_listed_and_explained(pytester: pytest.Pytester) -> None:
    listed = run(pytester, "--fixtures").stdout.str()
    for name in ("paper_gateway", "paper_account", "market"):
        assert f"\n{name} -- " in listed
    assert "@pytest.mark.paper_gateway(cash=" in run(pytester, "--markers").stdout.str()


def test_nothing_heavy_is_loaded_before_a_test_asks_for_it(tmp_path: Path) -> None:
    test = tmp_path / "test_other.py"
    test.write_text(
        "import sys\n"
        "def test_it():\n"
        "    heavy = {'trademind.gateway', 'ib_async', 'pydantic', 'fastapi', 'yaml', 'numpy'}\n"
        "    assert heavy & set(sys.modules) == set()\n"
    )
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:asyncio", "-p", "no:anyio"]
    command += [
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:cacheprovider",
        "-q",
        str(test),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
