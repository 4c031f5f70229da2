"""TA-Lib, loaded when somebody first reckons with it.

It brings pandas and polars along where they are installed, which takes most of a second and a hundred
megabytes. A server of which nobody wants signals has neither, and nor has the command line.
"""

from typing import TYPE_CHECKING, Any, Final

SIMPLE: Final[Any] = 0
EXPONENTIAL: Final[Any] = 1
"""Kinds of moving averages, by TA-Lib's numbers (`MA_Type`)."""

if TYPE_CHECKING:
    import talib
else:

    class _Talib:
        """The module as its users write it: `talib.RSI(…)`."""

        def __getattr__(self, name: str) -> Any:
            import talib

            return getattr(talib, name)

    talib = _Talib()


def load_talib() -> None:
    """Load it now, in a thread for instance: whoever needs it meanwhile waits."""
    _ = talib.RSI


__all__ = ["EXPONENTIAL", "SIMPLE", "load_talib", "talib"]
