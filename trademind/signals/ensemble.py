"""Several strategies as one: each has a vote for a while after its signal, by its weight."""

from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import Final, TypeVar

import numpy as np

from trademind.domain.signals import Action, Reason
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.builtin import MACD, BollingerBreakout, DonchianBreakout, MACrossover, RSIReversion
from trademind.signals.rules import Rules, RuleStrategy
from trademind.signals.strategy import Use, number, whole

MEMBERS: Final[tuple[type[RuleStrategy], ...]] = (
    RSIReversion,
    MACrossover,
    MACD,
    BollingerBreakout,
    DonchianBreakout,
)
"""Those of the built-in ensemble, each with its own defaults."""

V = TypeVar("V", float, Floats)


class Ensemble(RuleStrategy):
    """Strength: the score, without its sign.

    The score is the sum of the votes by weight, over the sum of the weights: 1 where all would be long, -1
    where all would be short.
    """

    name = "ensemble"
    description = (
        "Buys when enough of the other strategies, by weight, have bought lately, sells when enough have "
        "sold, closes when their votes no longer lean that way."
    )
    rsi_reversion: float = number(1.0, 0, 10, "Weight of rsi_reversion")
    ma_crossover: float = number(1.0, 0, 10, "Weight of ma_crossover")
    macd: float = number(1.0, 0, 10, "Weight of macd")
    bollinger_breakout: float = number(1.0, 0, 10, "Weight of bollinger_breakout")
    donchian_breakout: float = number(1.0, 0, 10, "Weight of donchian_breakout")
    threshold: float = number(0.4, 0.05, 1, "The score from which on it buys, and below its negative sells")
    memory: int = whole(10, 1, 200, "Bars that a vote lasts")

    def check(self) -> Iterable[tuple[str, str]]:
        if not any(getattr(self, member.name) for member in MEMBERS):
            yield MEMBERS[0].name, "one strategy at least needs a weight above 0"

    @cached_property
    def members(self) -> tuple[tuple[RuleStrategy, float], ...]:
        """Those that have a vote, and its weight."""
        weighted = ((member(), getattr(self, member.name)) for member in MEMBERS)
        return tuple((member, weight) for member, weight in weighted if weight)

    def uses(self) -> tuple[Use, ...]:
        inner = [use for member, _ in self.members for use in member.uses()]
        return tuple(use for i, use in enumerate(inner) if use not in inner[:i])

    @cached_property
    def warm_up(self) -> int:
        return max(self.atr_period + 1, *(member.warm_up for member, _ in self.members))

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        names = [member.name for member, _ in self.members]
        weights = [weight for _, weight in self.members]
        voted = [votes(member.leanings(bars), self.memory) for member, _ in self.members]

        def sum_of(ballot: Sequence[V]) -> V:
            # One after the other: in which order a matrix product sums depends on how many bars there are.
            total = weights[0] * ballot[0]
            for weight, vote in zip(weights[1:], ballot[1:], strict=True):
                total = total + weight * vote
            return total / sum(weights)

        score, ballots = sum_of(voted), np.column_stack(voted)
        was = np.append(0.0, score[:-1])
        enough = self.threshold - 1e-9  # sums of weights that should be the threshold
        buy, sell = (score >= enough) & (was < enough), (score <= -enough) & (was > -enough)

        @cache  # there are only so many ways to vote
        def told(ballot: tuple[float, ...]) -> Reason:
            bought = [name for name, vote in zip(names, ballot, strict=True) if vote > 0]
            sold = [name for name, vote in zip(names, ballot, strict=True) if vote < 0]
            parts = [f"{', '.join(who)} {did}" for who, did in ((bought, "bought"), (sold, "sold")) if who]
            total = sum_of(ballot)
            lately = " and ".join(parts) or "none traded"
            text = f"Of {len(names)} strategies {lately} lately; the score is {total:.2f}"
            return Reason(text, (("score", total), *zip(names, ballot, strict=True)))

        def why(i: int, action: Action) -> Reason:
            return told(tuple(ballots[i].tolist()))

        return Rules(
            buy=buy,
            sell=sell,
            close=((was > 1e-9) & (score <= 1e-9)) | ((was < -1e-9) & (score >= -1e-9)),
            strength=np.abs(score),
            why=why,
        )


def votes(leanings: Floats, memory: int) -> Floats:
    """For each bar what was said last, or 0 where that is `memory` bars ago or more."""
    places = np.arange(len(leanings))
    last = np.maximum.accumulate(np.where(np.isnan(leanings), -memory, places))
    return np.where(places - last < memory, leanings[np.maximum(last, 0)], 0.0)
