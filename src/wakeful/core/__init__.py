"""Pure, synchronous state machines: no I/O, no clock, no asyncio; driven by wakeful.runtime."""
