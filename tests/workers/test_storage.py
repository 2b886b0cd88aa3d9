"""Key-value storage and transactions: conformance rows D and E."""

import asyncio
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.world import FlakyStore
from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.proxies import DataCloneError, JsException, JsRangeError, JsTypeError

# `do` runs a test's own coroutine function inside the object: the test is the user's code.
THING = methods("async def do(self):\n    return await workers.probe(self)\n")
KV = ["a", "aa", "ab", "b", "B", "é", "\uffff", "😀"]


def inside(probe: Any, tmp_path: Path, **options: Any) -> None:
    """Run a coroutine function as a method of an object."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING, **options) as worker:
            worker.module.workers.probe = probe
            await worker.stub().do()

    test()


def test_what_is_missing_is_none(tmp_path: Path) -> None:
    """D1, D3, D7, D15."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        assert await storage.get("x") is None
        await storage.put("x", None)
        assert await storage.get("x") is None
        assert await storage.list() == {"x": None}
        assert await storage.get(["x", "y"]) == {"x": None}
        assert await storage.delete("none") is False
        assert await storage.delete("x") is True
        await storage.put("", 5)
        assert [await storage.get(""), await storage.delete("")] == [5, True]
        await storage.put({"a": 1, "b": 2})
        assert await storage.delete(["a", "none", "b"]) == 2

    inside(probe, tmp_path)


def test_keys_are_text_in_the_order_of_utf8(tmp_path: Path) -> None:
    """D6, D9, D10, D12, D24."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        await storage.put({key: n for n, key in enumerate(KV)})
        assert list(await storage.list()) == ["B", "a", "aa", "ab", "b", "é", "\uffff", "😀"]
        assert list(await storage.get(["b", "none", "a"])) == ["a", "b"]
        assert list(await storage.list({"start": "a", "end": "b"})) == ["a", "aa", "ab"]
        assert list(await storage.list(startAfter="a", end="b")) == ["aa", "ab"]
        assert list(await storage.list(reverse=True, limit=2)) == ["😀", "\uffff"]
        assert list(await storage.list(start="a", end="ab", reverse=True)) == ["aa", "a"]
        assert list(await storage.list({"prefix": "a"}, limit=2)) == ["a", "aa"]
        assert list(await storage.list(prefix="a", start="aa")) == ["aa", "ab"]
        assert list(await storage.list(start="b", end="a")) == []
        await storage.put(7, "seven")
        assert [await storage.get("7"), await storage.get(7)] == ["seven", "seven"]
        many = {f"many{n}": n for n in range(1000)}
        await storage.put(many)
        assert await storage.get(list(many)) == many
        assert await storage.delete(list(many)) == 1000

    inside(probe, tmp_path)


def test_wrong_calls_are_refused_in_workerds_words(tmp_path: Path) -> None:
    """D2, D13, D14, D18, D19, D22, D23."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        await storage.put("a", 1)

        async def refused(call: Any) -> str:
            error = await raised(_later(call))
            assert isinstance(error, JsTypeError)
            return error.message

        assert await refused(lambda: storage.put("x")) == "put() called with undefined value."
        for limit in (0, -1):
            assert (
                await refused(partial(storage.list, limit=limit)) == "List limit must be positive."
            )
        both = "list() cannot be called with both start and startAfter values."
        assert await refused(lambda: storage.list(start="a", startAfter="a")) == both
        assert (await refused(lambda: storage.put({}, 5))).startswith("put() may only be called")
        for value in (lambda: 1, object(), 1j, range(3)):
            assert isinstance(
                await raised(_later(partial(storage.put, "f", value))), DataCloneError
            )
            mixed = {"g": 1, "h": value}
            assert isinstance(await raised(_later(partial(storage.put, mixed))), DataCloneError)
        assert isinstance(await raised(_later(lambda: storage.put("t", (1,)))), TypeError)
        await storage.put("big", b"x" * (2 * 1024 * 1024 - 100))
        error = await raised(_later(lambda: storage.put("big", b"x" * (2 * 1024 * 1024 + 1))))
        assert error.message == "string or blob too big: SQLITE_TOOBIG"
        assert list(await storage.list()) == ["a", "big"]

    inside(probe, tmp_path)


VALUES = [
    *(None, True, 0, -5, 2**70, 1.5, float("inf"), "text", b"bytes"),
    *([1, [2, {"a": b"x"}]], {"a": {"b": [None]}}, {1, "a"}, datetime(2026, 1, 2, 3, 4, 5, 6000)),
]


def test_values_come_back_with_their_types(tmp_path: Path) -> None:
    """D20: copied when stored, and when read."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        for value in VALUES:
            await storage.put("v", value)
            got = await storage.get("v")
            assert got == value
            assert isinstance(got, type(value))
        await storage.put("v", [1.0, -0.0, float("nan"), ValueError("text")])
        whole, negative, nan, error = await storage.get("v")
        assert (repr(whole), repr(negative), repr(nan)) == ("1", "-0.0", "nan")
        assert (type(error), str(error)) == (Exception, "text")
        value = {"list": [1]}
        await storage.put("v", value)
        value["list"].append(2)
        (await storage.get("v"))["list"].append(3)
        assert (await storage.get("v")).list == [1]

    inside(probe, tmp_path)


def test_calls_act_when_they_are_made(tmp_path: Path) -> None:
    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        storage.put("a", 1, {"allowUnconfirmed": True})
        storage.put({"b": 2}, allowUnconfirmed=True)
        promise = storage.get("a", {"allowConcurrency": True}, noCache=True)
        storage.delete("a")
        assert [await promise, await promise, await storage.get("a")] == [1, 1, None]
        assert await asyncio.gather(storage.get("b"), storage.get("a")) == [2, None]
        assert await asyncio.wait_for(storage.get("b"), 1) == 2

    inside(probe, tmp_path)


def test_delete_all_leaves_nothing(tmp_path: Path) -> None:
    """D26, D28."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        await storage.put({"a": 1, "b": 2})
        await asyncio.sleep(1)
        await storage.put("c", 3)
        await storage.deleteAll()
        assert await storage.list() == {}

        async def closure(txn: Any) -> None:
            for face in (txn, storage):
                error = await raised(_later(face.deleteAll))
                assert error.message == "Cannot call deleteAll() within a transaction"

        await storage.transaction(closure)

    inside(probe, tmp_path)


def test_the_synchronous_face_shares_the_values(tmp_path: Path) -> None:
    """D30, D31, D32."""

    async def probe(self: Any) -> None:
        storage, kv = self.ctx.storage, self.ctx.storage.kv
        kv.put("a", 1)
        assert await storage.get("a") == 1
        await storage.put("b", 2)
        assert kv.get("b") == 2
        kv.put("c", None)
        assert list(kv.list()) == [["a", 1], ["b", 2], ["c", None]]
        first = iter(kv.list())
        assert next(first) == ["a", 1]
        assert [list(pair) for pair in kv.list({"prefix": "b"})] == [["b", 2]]
        with pytest.raises(JsException, match="iterator was invalidated"):
            next(first)
        assert [kv.delete("a"), kv.delete("a")] == [True, False]

    inside(probe, tmp_path)


def test_classes_in_key_value_storage_have_no_synchronous_face(tmp_path: Path) -> None:
    """D33."""

    async def probe(self: Any) -> None:
        for name in ("kv", "sql"):
            with pytest.raises(JsException, match="new_sqlite_classes"):
                getattr(self.ctx.storage, name)
        await self.ctx.storage.put("a", 1)
        assert self.ctx.storage.transactionSync(lambda: 5) == 5

    inside(probe, tmp_path, storage="new_classes")


def test_objects_do_not_see_each_others_values(tmp_path: Path) -> None:
    """D36."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            worker.module.workers.probe = lambda self: self.ctx.storage.put("a", 1)
            await worker.stub("a").do()
            worker.module.workers.probe = lambda self: self.ctx.storage.list()
            assert await worker.stub("b").do() == {}
            assert await worker.stub("a").do() == {"a": 1}

    test()


def test_a_transaction_is_kept_or_undone_as_a_whole(tmp_path: Path) -> None:
    """E1, E2, E3, E13."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage

        async def good(txn: Any) -> str:
            txn.put("a", 1)
            await asyncio.sleep(1)
            assert [await txn.get("a"), await storage.get("a")] == [1, 1]
            await storage.put("b", 2)
            return "ret"

        assert await storage.transaction(good) == "ret"
        assert await storage.list() == {"a": 1, "b": 2}

        async def bad(txn: Any) -> None:
            await txn.put("a", 100)
            await asyncio.sleep(1)
            await storage.delete("b")
            raise JsRangeError("no")

        await storage.put("before", 1)
        error = await raised(storage.transaction(bad))
        assert (type(error), error.message) == (JsRangeError, "no")
        assert await storage.list() == {"a": 1, "b": 2, "before": 1}

        async def back(txn: Any) -> str:
            await txn.put("a", 100)
            txn.rollback()
            txn.rollback()
            error = await raised(_later(lambda: txn.get("a")))
            assert error.message == "Cannot get() on rolled back transaction"
            return "result"

        assert await storage.transaction(back) == "result"
        assert await storage.get("a") == 1

    inside(probe, tmp_path)


def test_a_transaction_that_is_over_is_over(tmp_path: Path) -> None:
    """E5, E14."""

    async def probe(self: Any) -> None:
        leaked = await self.ctx.storage.transaction(lambda txn: [txn])
        error = await raised(_later(lambda: leaked[0].get("a")))
        assert error.message == (
            "Cannot call get() on transaction that has already committed: did you move `txn` "
            "outside of the closure?"
        )
        error = await raised(_later(lambda: self.ctx.storage.transaction(5)))
        assert isinstance(error, JsTypeError)
        assert "is not of type 'function'" in error.message

    inside(probe, tmp_path)


def test_transactions_nest(tmp_path: Path) -> None:
    """E12."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage

        async def inner_fails(txn: Any) -> None:
            await txn.put("inner", 1)
            raise ValueError("inner")

        async def inner(txn: Any) -> None:
            await txn.put("inner", 2)
            await asyncio.sleep(1)

        async def outer(txn: Any) -> None:
            await txn.put("outer", 1)
            assert isinstance(await raised(storage.transaction(inner_fails)), ValueError)
            assert await storage.list() == {"outer": 1}
            nested = storage.transaction(inner)
            error = await raised(_later(txn.rollback))
            assert "nested transaction" in error.message
            assert nested is not None  # not awaited: it ends before the outer one does

        await storage.transaction(outer)
        assert await storage.list() == {"inner": 2, "outer": 1}

        async def undone(txn: Any) -> None:
            await storage.transaction(inner)
            raise ValueError("outer")

        await storage.delete("inner")
        await raised(storage.transaction(undone))
        assert await storage.list() == {"outer": 1}

    inside(probe, tmp_path)


def test_a_synchronous_transaction(tmp_path: Path) -> None:
    """E9, E10."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage

        def inner() -> None:
            storage.kv.put("inner", 1)
            raise ValueError("inner")

        def outer() -> str:
            storage.kv.put("outer", 1)
            with pytest.raises(ValueError, match="inner"):
                storage.transactionSync(inner)
            return "ret"

        assert storage.transactionSync(outer) == "ret"
        assert await storage.list() == {"outer": 1}
        with pytest.raises(ValueError, match="inner"):
            storage.transactionSync(inner)

        async def later() -> str:
            return "later"

        assert await storage.transactionSync(later) == "later"

    inside(probe, tmp_path)


@virtual
async def test_nothing_of_a_transaction_is_committed_before_its_end(tmp_path: Path) -> None:
    """And what is delivered meanwhile waits: t0, t1, t2, mid."""
    store = FlakyStore()
    source = methods(
        """
        async def transact(self):
            await self.ctx.storage.put("before", 1)
            async def closure(txn):
                for n in range(3):
                    log.append(f"t{n}")
                    await txn.put(f"t{n}", n)
                    await asyncio.sleep(0.02)
                self.task = asyncio.create_task(asyncio.sleep(0.01))
            await self.ctx.storage.transaction(closure)

        async def mid(self):
            log.append("mid")

        async def forgotten(self):
            async def closure(txn):
                await txn.put("a", 1)
                await asyncio.sleep(1)
                await txn.put("b", 1)
            self.ctx.storage.transaction(closure)
        """
    )
    async with running(tmp_path, source, store=store) as worker:
        stub = worker.stub()
        transacting = stub.transact()
        await asyncio.sleep(0.01)
        await stub.mid()
        await transacting
        assert worker.log == ["t0", "t1", "t2", "mid"]
        kept = [{key for record in batch for key in record.puts} for batch in store.batches[1:]]
        assert kept == [{"kbefore", "n"}, {"kt0", "kt1", "kt2"}]
        await worker.stub("b").forgotten()
        await asyncio.sleep(2)
        assert {key for record in store.batches[-1] for key in record.puts} == {"ka", "kb", "n"}


@virtual
async def test_a_reset_undoes_a_transaction(tmp_path: Path) -> None:
    source = methods(
        """
        async def transact(self):
            async def closure(txn):
                try:
                    await txn.put("a", 1)
                    await asyncio.sleep(1)
                    self.ctx.abort("stop")
                finally:
                    await asyncio.sleep(1)
                    log.append("never")
            await self.ctx.storage.transaction(closure)

        async def keys(self):
            return list(await self.ctx.storage.list())
        """
    )
    async with running(tmp_path, source) as worker:
        assert (await raised(worker.stub().transact())).message == "stop"
        assert await worker.stub().keys() == []
        assert worker.log == []


async def _later(make: Any) -> Any:
    result = make()
    return await result if hasattr(result, "__await__") else result


def test_there_are_no_bookmarks(tmp_path: Path) -> None:
    async def probe(self: Any) -> None:
        for name in ("getCurrentBookmark", "getBookmarkForTime", "onNextSessionRestoreBookmark"):
            with pytest.raises(JsException, match="does not implement point-in-time recovery"):
                getattr(self.ctx.storage, name)(1)

    inside(probe, tmp_path)


def test_values_only_python_has(tmp_path: Path) -> None:
    """What arrives of them, and what is refused, in the words of Cloudflare's SDK."""

    class Plain:
        pass

    class Level(IntEnum):
        HIGH = 3

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        aware = datetime(2026, 1, 2, 3, 4, 5, 678_912, tzinfo=timezone(timedelta(hours=2)))
        await storage.put("v", {7: "int", 2.5: "float", None: "none", "s": Level.HIGH})
        assert await storage.get("v") == {
            **{"7": "int", "2.5": "float", "undefined": "none", "s": 3}
        }
        await storage.put("v", [aware, memoryview(b"ab"), {1, "a"}, 2.0, 2**60, ValueError("no")])
        date, data, both, whole, large, error = await storage.get("v")
        assert date.timestamp() == 1767315845.678
        assert date.tzinfo is None
        assert (data, both, large) == (b"ab", {1, "a"}, 2**60)
        assert isinstance(whole, int)
        assert str(error) == "no"
        for value in ((1,), bytearray(b"a"), {"a": (1,)}, asyncio.Future()):
            with pytest.raises(TypeError):
                await storage.put("v", value)
        for value in (Plain(), 1j, range(3), Decimal(1), frozenset({1}), len, object, Plain):
            with pytest.raises(DataCloneError):
                await storage.put("v", [value])
        assert len(await storage.get("v")) == 6

    inside(probe, tmp_path)
