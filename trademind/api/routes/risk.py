"""Risk limits and the kill switch."""

from fastapi import APIRouter

from trademind.api.deps import CallerDep, RiskDep
from trademind.api.schemas.problem import problems
from trademind.api.schemas.risk import (
    HaltIn,
    HaltOut,
    LimitsIn,
    LimitsOut,
    ModeOut,
    RiskOut,
    SetLimitsOut,
    UsageOut,
)
from trademind.api.strict import StrictRoute
from trademind.errors import Unavailable
from trademind.trading.risk import Risk

router = APIRouter(prefix="/api/risk", tags=["risk"], route_class=StrictRoute)


@router.get("", responses=problems())
async def risk_state(risk: RiskDep) -> RiskOut:
    """The mode, the limits, and how much of them is used. Answers whether or not there is a session."""
    try:
        usage = UsageOut.of(await risk.usage())
    except Unavailable:
        usage = None
    return RiskOut(
        **ModeOut.of(risk.state, kept=risk.is_kept).model_dump(),
        limits=LimitsOut.of(risk.limits),
        limits_from_settings=risk.is_from_settings,
        usage=usage,
    )


@router.get("/limits", responses=problems())
async def limits(risk: RiskDep) -> SetLimitsOut:
    """The limits that hold."""
    return _limits(risk)


@router.put("/limits", responses=problems(400, 413, 415, 422))
async def set_limits(wanted: LimitsIn, risk: RiskDep, caller: CallerDep) -> SetLimitsOut:
    """Have these limits from now on, also after a restart, whatever the settings say. All are replaced."""
    await risk.set_limits(wanted.limits(), by=caller)
    return _limits(risk)


@router.delete("/limits", responses=problems())
async def reset_limits(risk: RiskDep, caller: CallerDep) -> SetLimitsOut:
    """Have the limits of the settings again."""
    await risk.set_limits(None, by=caller)
    return _limits(risk)


@router.post("/halt", responses=problems(400, 413, 415, 422))
async def halt(risk: RiskDep, caller: CallerDep, asked: HaltIn | None = None) -> HaltOut:
    """Take no order from now on, also after a restart, until trading is resumed. Cancels pass.

    The halt holds, whatever the answer says: `kept` is false where it could not be written down, and
    `not_canceled` names the orders that still work although `cancel_open` was asked for.
    """
    asked = asked or HaltIn()
    done = await risk.halt(asked.reason, by=caller, cancel_open=asked.cancel_open)
    return HaltOut.halted(risk.state, done, kept=risk.is_kept)


@router.post("/resume", responses=problems(409))
async def resume(risk: RiskDep, caller: CallerDep) -> ModeOut:
    """Trade again. While the day's loss is at its limit, a halt ends in `reducing`, and that does not end."""
    await risk.resume(by=caller)
    return ModeOut.of(risk.state, kept=risk.is_kept)


def _limits(risk: Risk) -> SetLimitsOut:
    return SetLimitsOut(
        limits=LimitsOut.of(risk.limits), from_settings=risk.is_from_settings, kept=risk.is_kept
    )
