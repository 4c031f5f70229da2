"""The plan: which fault happens when. Made in advance from a seed, so that a run can be played again.

Faults come on two tracks that run side by side. Those of the first break the session, or may: each is given
time to heal before the next, as a rule. Those of the second spoil what passes while it stands. A plan is
divided into acts; after each there is a calm, in which everything has to agree.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What goes wrong."""

    # The gateway's process.
    KILL = "kill"
    """SIGKILL, and started again on the same port with the same account."""
    HANG = "hang"
    """SIGSTOP, and SIGCONT after a while."""
    # The network between the two.
    RESET = "reset"
    CUT = "cut"
    """Both ends see an orderly close."""
    REFUSE = "refuse"
    """Connections are cut, and new ones are closed at once."""
    FREEZE = "freeze"
    """Nothing passes for a while, and all of it afterwards."""
    BLACK_HOLE = "black_hole"
    """The connection stays and what is sent over it vanishes; new ones work."""
    SLOW = "slow"
    """So many bytes a second."""
    LATENCY = "latency"
    # What the gateway says.
    LINK = "link"
    """1100, then 1101 or 1102."""
    CLIENT_ID = "client_id"
    """The connection ends, and the client id is taken (326)."""
    NO_END = "no_end"
    """The connection ends, and an end marker of the next snapshots is dropped."""
    ROLL_BACK = "roll_back"
    """The connection ends, and the next valid order id goes back to 1."""
    MUTE = "mute"
    """The gateway says and hears nothing on a connection that stays."""
    ORDER_LOST = "order_lost"
    """The connection ends as an order comes: before it is served, or after."""
    ORDER_LATE = "order_late"
    """Orders are taken only after TradeMind has stopped waiting for them, as by a TWS that shows a dialog."""
    LATE = "late"
    """Messages come later than those that follow them."""
    TWICE = "twice"
    SHUFFLED = "shuffled"
    FLOOD = "flood"
    """A burst of notices, of codes that nobody knows and of messages without a meaning."""
    FARM = "farm"
    """A data farm breaks and comes back, several times."""
    NO_HISTORY = "no_history"
    """Requests for history fail, and some for quotes."""
    HALT = "halt"
    MOVE = "move"
    """The price of a symbol jumps, and is let go again."""
    # TradeMind itself, and what its clients do to it.
    SLEEP = "sleep"
    """TradeMind's own process is stopped and continued, as on a machine that is suspended."""
    ASK = "ask"
    """POST /api/system/reconnect."""
    BURST = "burst"
    """More orders and questions at one moment than IB takes in a second."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at: float
    """Seconds from the beginning of its act."""
    kind: Kind
    seconds: float
    """How long it lasts; 0 for what is over at once."""
    details: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __str__(self) -> str:
        details = "".join(f" {name}={value}" for name, value in self.details.items())
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.kind}{lasts}{details}"


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    acts: tuple[tuple[Fault, ...], ...]
    """The faults of each act, in the order of their time."""
    act_seconds: float

    def __str__(self) -> str:
        lines = [f"plan of seed {self.seed}: {len(self.acts)} act(s) of {self.act_seconds:.0f} s"]
        for number, act in enumerate(self.acts, 1):
            lines.append(f"act {number}")
            lines += [f"  {fault}" for fault in act]
        return "\n".join(lines)


SYMBOLS: Final = ("AAPL", "MSFT", "NVDA", "AMD", "INTC", "CSCO")
"""What is traded and quoted."""
ACT: Final = 45.0
"""Seconds of an act, in a run that has several."""
CALM: Final = 15.0
"""Seconds that are reckoned for the calm after an act: recovery, a look at everything."""

BREAKING: Final = (
    Kind.KILL, Kind.HANG, Kind.RESET, Kind.CUT, Kind.REFUSE, Kind.FREEZE, Kind.BLACK_HOLE, Kind.LINK,
    Kind.CLIENT_ID, Kind.NO_END, Kind.ROLL_BACK, Kind.MUTE, Kind.ORDER_LOST, Kind.SLEEP, Kind.ASK,
)  # fmt: skip
"""Each on its own, one after the other."""
SPOILING: Final = (
    Kind.SLOW, Kind.LATENCY, Kind.ORDER_LATE, Kind.LATE, Kind.TWICE, Kind.SHUFFLED, Kind.FLOOD, Kind.FARM,
    Kind.NO_HISTORY, Kind.HALT, Kind.MOVE, Kind.BURST,
)  # fmt: skip
"""Beside them."""

LENGTHS: Final[Mapping[Kind, tuple[tuple[float, float], ...]]] = {
    Kind.KILL: ((0.2, 1.0), (2.0, 6.0)),
    # Shorter than silence (3 s), longer, and so long that the connection is given up (6 s).
    Kind.HANG: ((0.5, 2.0), (3.8, 5.2), (7.0, 10.0)),
    Kind.REFUSE: ((0.5, 6.0),),
    Kind.FREEZE: ((0.5, 2.0), (3.8, 5.2), (7.0, 9.0)),
    Kind.BLACK_HOLE: ((7.0, 12.0),),
    Kind.LINK: ((0.5, 2.0), (3.0, 7.0)),
    Kind.CLIENT_ID: ((1.0, 6.0),),
    Kind.NO_END: ((1.0, 3.0),),
    # What a mute gateway would have said is lost for good, so it is mute until it is given up.
    Kind.MUTE: ((7.5, 10.0),),
    Kind.ORDER_LOST: ((2.0, 4.0),),
    Kind.SLEEP: ((0.5, 1.5), (3.2, 4.5)),
    Kind.SLOW: ((3.0, 8.0),),
    Kind.LATENCY: ((3.0, 8.0),),
    Kind.ORDER_LATE: ((2.0, 4.0),),
    Kind.LATE: ((3.0, 8.0),),
    Kind.TWICE: ((3.0, 8.0),),
    Kind.SHUFFLED: ((3.0, 8.0),),
    Kind.FLOOD: ((0.5, 2.0),),
    Kind.FARM: ((1.0, 5.0),),
    Kind.NO_HISTORY: ((1.0, 5.0),),
    Kind.HALT: ((1.0, 5.0),),
    Kind.MOVE: ((1.0, 4.0),),
}
"""Ranges of seconds, of which each fault takes one at random. None: it is over at once."""

END_MARKERS: Final = (
    "openOrderEnd", "positionEnd", "execDetailsEnd", "completedOrdersEnd", "accountDownloadEnd",
)  # fmt: skip
ABOUT_ORDERS: Final = ("orderStatus", "execDetails", "commissionReport")
"""Messages that IB is known to tell in any order, and again. A late list of terms or positions would be a
lie: an old one cannot be told from a new one."""


def make_plan(seed: int, seconds: float) -> Plan:
    """A plan that fills so many seconds, calms included."""
    rng = random.Random(seed)
    count = max(1, round(seconds / (ACT + CALM)))
    act_seconds = max(seconds / count - CALM, 15.0)
    breaking, spoiling = _in_turn(rng, BREAKING), _in_turn(rng, SPOILING)
    acts = []
    for _ in range(count):
        faults = [
            *_track(rng, breaking, act_seconds, (3.0, 8.0)),
            *_track(rng, spoiling, act_seconds, (1.0, 5.0)),
        ]
        acts.append(tuple(sorted(faults, key=lambda fault: fault.at)))
    return Plan(seed, tuple(acts), act_seconds)


def _in_turn(rng: random.Random, kinds: tuple[Kind, ...]) -> Iterator[Kind]:
    """Every kind once in a random order, and then again."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def _track(
    rng: random.Random, kinds: Iterator[Kind], seconds: float, pauses: tuple[float, float]
) -> Iterator[Fault]:
    """Faults one after the other, with pauses between them; now and then without."""
    at = rng.uniform(0.5, 2.0)
    while True:
        kind = next(kinds)
        ranges = LENGTHS.get(kind)
        lasts = 0.0 if ranges is None else round(rng.uniform(*rng.choice(ranges)), 1)
        if at + lasts > seconds:
            return
        yield Fault(round(at, 1), kind, lasts, _details(rng, kind))
        at += lasts + (0.2 if rng.random() < 0.15 else rng.uniform(*pauses))


def _details(rng: random.Random, kind: Kind) -> Mapping[str, str | int | float | bool]:
    match kind:
        case Kind.LINK:
            return {"data_lost": rng.random() < 0.5}
        case Kind.NO_END:
            return {"message": rng.choice(END_MARKERS)}
        case Kind.ORDER_LOST:
            return {"served": rng.random() < 0.5}
        case Kind.SLOW:
            return {"bytes_per_second": rng.choice((3_000, 10_000, 30_000))}
        case Kind.LATENCY:
            return {"by": round(rng.uniform(0.1, 1.2), 2)}
        case Kind.ORDER_LATE:
            return {"by": round(rng.uniform(3.2, 5.0), 1)}
        case Kind.LATE:
            return {"by": round(rng.uniform(0.2, 1.5), 2), "message": rng.choice(ABOUT_ORDERS)}
        case Kind.TWICE | Kind.SHUFFLED:
            return {"message": rng.choice(ABOUT_ORDERS)}
        case Kind.FLOOD:
            return {"notices": rng.choice((50, 200, 500))}
        case Kind.FARM:
            return {"farm": rng.choice(("usfarm", "ushmds", "secdefnj")), "times": rng.randint(1, 4)}
        case Kind.BURST:
            return {"orders": rng.choice((60, 160)), "questions": rng.choice((10, 60))}
        case Kind.HALT | Kind.MOVE:
            return {"symbol": rng.choice(SYMBOLS)}
        case _:
            return {}
