"""Facts as JSON that both sides write in the same way; README.md says how."""

import asyncio
import math
import time
from datetime import datetime

SAFE = 2**53 - 1
MARKS = ("remote", "retryable", "overloaded", "durableObjectReset")
in_worker = {}
in_object = {}


def worker(function):
    """Run this row in the Worker: (env, given, made)."""
    in_worker[function.__name__] = function
    return function


def inside(function):
    """Run this row inside an object: (self, given)."""
    in_object[function.__name__] = function
    return function


def plain(value):
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return _number(value)
        case datetime():
            return {"date": round(value.timestamp() * 1000)}
        case Exception():
            return {"thrown": getattr(value, "message", str(value))}
        case set() | frozenset():
            return {"set": [plain(item) for item in value]}
        case bytes() | bytearray() | memoryview():
            return {"bytes": " ".join(map(str, bytes(value)))}
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    raise TypeError(f"no fact: {value!r}")


def _number(value):
    if isinstance(value, int):
        return value if abs(value) <= 2**64 and float(value) == value else {"bigint": str(value)}
    if math.isnan(value):
        return {"number": "NaN"}
    if math.isinf(value):
        return {"number": "Infinity" if value > 0 else "-Infinity"}
    return {"number": "-0"} if value == 0 and math.copysign(1, value) < 0 else value


def failure(error):
    found = {
        "error": getattr(error, "name", type(error).__name__),
        "message": getattr(error, "message", str(error)),
    }
    found.update({mark: True for mark in MARKS if getattr(error, mark, False)})
    return found


async def outcome(call):
    """What a call gives, or what it raises."""
    try:
        value = call()
        return {"value": plain(await value if hasattr(value, "__await__") else value)}
    except Exception as error:
        return failure(error)


async def each(calls):
    """The outcomes of calls, by what they are called."""
    return {name: await outcome(call) for name, call in calls.items()}


async def wait(ms):
    await asyncio.sleep(ms / 1000)


def now():
    return int(time.time() * 1000)
