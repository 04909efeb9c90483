"""Values in, values out: no asyncio, clock, disk, network, pygls, lsprotocol or httpx in this room."""
