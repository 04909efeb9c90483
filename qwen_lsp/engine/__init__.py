"""Every decision of a completion in order, and the work in flight: asyncio, no HTTP, no LSP."""
