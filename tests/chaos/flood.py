"""A burst of messages that mean nothing to anybody, as steps of the gateway's script of faults."""

from typing import Any, Final

from tests.chaos.world import CLIENT_ID

Step = dict[str, Any]
"""A step of a script, as docs/faults.md has it."""
NO_REQUEST: Final = 2_000_000
"""Ids from here on are those of no request or order."""

UNKNOWN_CODES: Final = (98765, 4711, 2999, 10999, 777)
"""Codes that are in no table."""
MEANINGLESS: Final = (
    ("49", "1", "1"),  # the time, which nobody has asked for
    ("3", "999999", "Submitted", "0", "1", "0", "777", "0", "0", str(CLIENT_ID), "", "0"),
    ("1", "6", "999999", "1", "10.5", "100", "0"),
    ("55", "1", "999999"),
    ("999", "1", "a message of a later version"),
)
"""Messages about nothing that there is."""
HARMLESS_CODES: Final = (2100, 2106, 2108, 2137, 2150, 2158, 2168, 2169)


def flood(notices: int, seconds: float) -> list[Step]:
    """So many notices, spread evenly, about nothing or about what there is not; and other messages."""
    codes = (*UNKNOWN_CODES, *HARMLESS_CODES)
    told = [
        {
            "do": "notify",
            "with": {
                "code": codes[number % len(codes)],
                "text": f"flood {number}",
                "req_id": -1 if number % 3 else NO_REQUEST + number,
            },
            "at": f"{round(number / notices * seconds * 1000)}ms",
        }
        for number in range(notices)
    ]
    said = [{"do": "say", "with": {"fields": list(fields)}, "client": CLIENT_ID} for fields in MEANINGLESS]
    return [*told, *said]
