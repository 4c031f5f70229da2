"""What strategies and indicators there are."""

from fastapi import APIRouter

from trademind.api.deps import SignalsDep
from trademind.api.schemas.problem import problems
from trademind.api.schemas.strategies import IndicatorOut, IndicatorsOut, StrategiesOut
from trademind.api.strict import StrictRoute

router = APIRouter(prefix="/api", tags=["signals"], route_class=StrictRoute)


@router.get("/strategies", responses=problems())
async def strategies(signals: SignalsDep) -> StrategiesOut:
    """Every strategy with its parameters, and those that cannot be used and why."""
    return StrategiesOut.of((await signals.opened()).desk.strategies.catalogue)


@router.post("/strategies/reload", responses=problems())
async def reload(signals: SignalsDep) -> StrategiesOut:
    """Load the user's own strategies anew. What was switched off gets another chance."""
    return StrategiesOut.of(await (await signals.opened()).desk.strategies.load())


@router.get("/indicators", responses=problems())
async def indicators(signals: SignalsDep) -> IndicatorsOut:
    """Every indicator with its parameters."""
    await signals.opened()
    from trademind.signals import INDICATORS  # TA-Lib comes with it, and is loaded by now

    return IndicatorsOut(indicators=[IndicatorOut.of(each) for each in INDICATORS.values()])
