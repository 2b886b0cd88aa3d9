"""Pure, synchronous state machines: no I/O, no clock, no asyncio. Drivers live in wakeful.runtime."""
