"""The TWS API's wire protocol, from a gateway's side: bytes in, requests out; messages in, bytes out.

Nothing here does I/O or knows of the paper exchange.

    frames      length-prefixed payloads, with a bound on their length
    fields      NUL-ended text fields, and numbers in them
    versions    negotiation, and which version brought which field
    times       IB's ways of writing a time
    requests/, place_order, reading  what clients ask, by topic
    messages, orders, accounts,
    contracts, market, history      what the gateway tells them
"""
