"""Messages about what is not one market: scanners, news, bulletins, display groups, verification."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import Value
from trademind.gateway.wire.messages import Message, Plain


def scanner_parameters(xml: str) -> Message:
    return Plain(values=(19, 1, xml))


@dataclass(frozen=True, slots=True)
class ScannerData(Message):
    """What a scanner found, best first: contracts with the names of their markets."""

    req_id: int
    rows: tuple[tuple[WireContract, str], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (20, 3, self.req_id, len(self.rows))
        for rank, (contract, market_name) in enumerate(self.rows):
            yield from (
                rank, contract.con_id, contract.symbol, contract.sec_type, contract.last_trade_date,
                contract.strike, contract.right, contract.exchange, contract.currency, contract.local_symbol,
                market_name, contract.trading_class, "", "", "", "",
            )  # fmt: skip


def news_providers(providers: Iterable[tuple[str, str]]) -> Message:
    """Codes and names."""
    listed = list(providers)
    return Plain(values=(85, len(listed), *(value for provider in listed for value in provider)))


def historical_news(req_id: int, time: str, provider: str, article_id: str, headline: str) -> Message:
    """`time` is in UTC: 2026-11-23 20:31:05.0."""
    return Plain(values=(86, req_id, time, provider, article_id, headline))


def historical_news_end(req_id: int, *, has_more: bool) -> Message:
    return Plain(values=(87, req_id, has_more))


PLAIN_TEXT = 0


def news_article(req_id: int, text: str) -> Message:
    return Plain(values=(83, req_id, PLAIN_TEXT, text))


def tick_news(req_id: int, millis: int, provider: str, article_id: str, headline: str) -> Message:
    """A headline as it comes out; the last field is for extra data."""
    return Plain(values=(84, req_id, millis, provider, article_id, headline, ""))


REGULAR_BULLETIN = 1


def news_bulletin(number: int, text: str, source: str) -> Message:
    return Plain(values=(14, 1, number, REGULAR_BULLETIN, text, source))


def display_group_list(req_id: int, groups: Iterable[int]) -> Message:
    return Plain(values=(67, 1, req_id, "|".join(map(str, groups))))


def display_group_updated(req_id: int, contract_info: str) -> Message:
    """`none`, `combo`, or a con id and an exchange: 265598@SMART."""
    return Plain(values=(68, 1, req_id, contract_info))


def verify_completed(*, successful: bool, text: str) -> Message:
    return Plain(values=(66, 1, successful, text))


def verify_and_auth_completed(*, successful: bool, text: str) -> Message:
    return Plain(values=(70, 1, successful, text))
