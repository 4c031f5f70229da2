"""API versions: which ones the gateway speaks, and what each added to the layout of a message.

A client names a range (`v100..226`), the gateway answers with the highest version both know, and from
then on either side lays out every message for that version. The names below are the versions at which
a field came or went; the layouts refer to them and to nothing else.
"""

import re
from typing import Final

MIN_VERSION: Final = 157
"""The oldest version served; no client in use offers less."""
MAX_VERSION: Final = 200
"""The newest: from 201 on, messages have a binary id and may be protocol buffers."""

DURATION: Final = 158
POST_TO_ATS: Final = 160
WSH_CALENDAR: Final = 161
AUTO_CANCEL_PARENT: Final = 162
FRACTIONAL_SIZES: Final = 163
SIZE_RULES: Final = 164
HISTORICAL_SCHEDULE: Final = 165
ADVANCED_ORDER_REJECT: Final = 166
USER_INFO: Final = 167
MANUAL_ORDER_TIME: Final = 169
PEG_OFFSETS: Final = 170
INSTRUMENT_TIME_ZONE: Final = 174
ISSUER_ID: Final = 176
NO_FA_PROFILE: Final = 177
PENDING_PRICE_REVISION: Final = 178
LAST_TRADE_DATE: Final = 182
CUSTOMER_ACCOUNT: Final = 183
PROFESSIONAL_CUSTOMER: Final = 184
BOND_ACCRUED_INTEREST: Final = 185
INELIGIBILITY_REASONS: Final = 186
RFQ_FIELDS: Final = 187
INCLUDE_OVERNIGHT: Final = 189
NO_RFQ_FIELDS: Final = 190
CME_TAGGING: Final = 192
CME_TAGGING_IN_OPEN_ORDER: Final = 193
ERROR_TIME: Final = 194
FULL_ORDER_PREVIEW: Final = 195
HISTORICAL_DATA_END: Final = 196
CURRENT_TIME_MILLIS: Final = 197
SUBMITTER: Final = 198
IMBALANCE_ONLY: Final = 199
DAYS_OF_EXECUTIONS: Final = 200

_OFFER = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: .*)?", re.DOTALL)


def negotiate(offer: str) -> int | None:
    """The version to speak with a client that offers `v100..226`, `v157` or `v100..178 +PACEAPI`.

    Returns:
        The highest version both sides know, or None where there is none.

    Raises:
        ValueError: this is not an offer at all.
    """
    match = _OFFER.fullmatch(offer)
    if match is None:
        raise ValueError(f"not a version range: {offer[:60]!r}")
    lowest = int(match[1])
    highest = int(match[2]) if match[2] else lowest
    agreed = min(highest, MAX_VERSION)
    return agreed if agreed >= max(lowest, MIN_VERSION) else None
