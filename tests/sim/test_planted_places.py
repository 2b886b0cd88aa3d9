"""More of what the simulator must notice: in SQL, alarms, sockets, transactions, abort, Workers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import pytest
from tests.sim.planted import Plant, Variants, caught

from wakeful.core.agenda import ALARM, Agenda, Entry
from wakeful.core.alarms import AlarmCell, AlarmRun
from wakeful.core.working_set import COMMIT_POINT, Marks, WorkingSet
from wakeful.core.write_buffer import WriteBuffer
from wakeful.errors import ActorAborted, WakefulError
from wakeful.ports import NO_PAGES, CommitRecord
from wakeful.runtime.activation import Activation, transact
from wakeful.runtime.activator import Activator
from wakeful.runtime.alarm_face import AlarmFace
from wakeful.runtime.alarms import Alarms
from wakeful.runtime.courier import Courier
from wakeful.runtime.gated import Gated
from wakeful.runtime.host import Host
from wakeful.runtime.socket import Socket
from wakeful.runtime.sockets import Sockets
from wakeful.sql.database import SqlDatabase
from wakeful.sql.databases import Databases
from wakeful.sql.pages import Changes, Pages
from wakeful.testing.vault import PING

SEEDS_MAX: Final = 100
STATE: Final = ("tokens", "length", "total", "kept")
variant = Variants()


# --- SQL -----------------------------------------------------------------------------------------


@variant
def pages_not_in_the_record(patch: pytest.MonkeyPatch) -> None:
    """The commit record carries cells and state only."""
    record = Activation.record

    def without(activation: Activation, epoch: int) -> CommitRecord:
        whole = record(activation, epoch)
        whole.pages = NO_PAGES
        return whole

    patch.setattr(Activation, "record", without)


@variant
def pages_in_the_next_record(patch: pytest.MonkeyPatch) -> None:
    """Cells go with this record, pages with the one after it."""
    take = Pages.take
    late: dict[int, Changes] = {}

    def later(pages: Pages) -> Changes:
        before, late[id(pages)] = late.get(id(pages), {}), take(pages)
        return before

    patch.setattr(Pages, "take", later)


@variant
def pages_on_their_way_are_not_seen(patch: pytest.MonkeyPatch) -> None:
    """A handle that is opened anew reads what the store has, and not what it is being sent."""
    take = Pages.take

    def bare(pages: Pages) -> Changes:
        taken = take(pages)
        pages._sent = {}
        return taken

    patch.setattr(Pages, "take", bare)


@variant
def pages_settled_too_early(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a record is still on its way."""
    open_database = Databases.open

    def hasty(databases: Databases, actor: Any, persistence: Any, pending: Any) -> SqlDatabase:
        return open_database(databases, actor, persistence, lambda: False)

    patch.setattr(Databases, "open", hasty)


@variant
def sql_rollback_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A turn that raises leaves its rows to the next one."""
    undo = SqlDatabase.undo

    def partly(database: SqlDatabase, mark: int = COMMIT_POINT) -> None:
        if mark != COMMIT_POINT:
            undo(database, mark)

    patch.setattr(SqlDatabase, "undo", partly)


@variant
def stale_cache_after_a_refused_commit(patch: pytest.MonkeyPatch) -> None:
    """A handle that has seen pages which are given up is not closed."""
    close = SqlDatabase._close
    undo = SqlDatabase.undo

    def keep(database: SqlDatabase) -> None:
        patch.setattr(SqlDatabase, "_close", lambda database: None)
        undo(database)
        patch.setattr(SqlDatabase, "_close", close)

    patch.setattr(SqlDatabase, "undo", keep)


@variant
def database_outlives_its_activation(patch: pytest.MonkeyPatch) -> None:
    """What a lost activation has read and written is still there for the next."""
    open_database = Databases.open

    def known(databases: Any, actor: Any, persistence: Any, pending: Any) -> SqlDatabase:
        kept = databases.__dict__.setdefault("kept", {})
        if actor not in kept:
            kept[actor] = open_database(databases, actor, persistence, pending)
        database: SqlDatabase = kept[actor]
        database._pending = pending
        return database

    patch.setattr(Databases, "open", known)
    patch.setattr(SqlDatabase, "close", SqlDatabase.undo)


# --- alarms --------------------------------------------------------------------------------------


@variant
def alarm_outside_the_turn(patch: pytest.MonkeyPatch) -> None:
    """An alarm is set though its turn is undone."""
    set_alarm = AlarmFace.set

    def at_once(face: Any, *when: Any, **at: Any) -> None:
        set_alarm(face, *when, **at)
        buffer = face._activation.writes()
        key, _ = buffer._undo.pop()
        buffer._dirty = {**(buffer._dirty or {}), key: buffer.cells[key]}

    patch.setattr(AlarmFace, "set", at_once)


@variant
def alarm_fires_early(patch: pytest.MonkeyPatch) -> None:
    """A clock that is a little fast."""
    init = Courier.__init__

    class Fast:
        def __init__(self, clock: Any) -> None:
            self._clock = clock

        def now_ns(self) -> int:
            return int(self._clock.now_ns()) + 2_000_000

    def hasty(courier: Courier, *, clock: Any, **more: Any) -> None:
        init(courier, clock=Fast(clock), **more)

    patch.setattr(Courier, "__init__", hasty)


@variant
def alarm_stays_when_it_is_handled(patch: pytest.MonkeyPatch) -> None:
    """It fires again and again."""
    patch.setattr(AlarmRun, "leaves", lambda run, cell: False)


@variant
def alarm_goes_even_if_it_was_set_again(patch: pytest.MonkeyPatch) -> None:
    """The one that a handler sets is taken for the one that fired."""
    patch.setattr(AlarmRun, "leaves", lambda run, cell: cell is not None)


@variant
def alarm_goes_before_its_handler_runs(patch: pytest.MonkeyPatch) -> None:
    """A handler that fails, or a crash, loses it."""
    fulfil = Alarms.fulfil

    async def once(alarms: Alarms, instance: Any, id: str, entry: Entry) -> None:
        activation = instance.ctx.activation
        activation.owed().remove(id)
        await instance.ctx._host.commit_point(activation)
        await fulfil(alarms, instance, id, entry)

    patch.setattr(Alarms, "fulfil", once)


@variant
def alarm_does_not_wait_its_turn(patch: pytest.MonkeyPatch) -> None:
    """Its handler runs beside the turn that is under way."""
    init = Courier.__init__

    def interleaved(courier: Courier, **more: Any) -> None:
        init(courier, **more)
        for plan in courier._plans[False]:
            plan.interleave = True

    patch.setattr(Courier, "__init__", interleaved)


@variant
def nobody_is_told_of_new_alarms(patch: pytest.MonkeyPatch) -> None:
    """The timer is set when the runtime starts, and not when an alarm becomes durable."""
    patch.setattr(Courier, "note", lambda courier, due_ns: None)


@variant
def alarms_of_the_last_life_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks for those that were set before a restart."""
    patch.setattr(Host, "start", lambda host: None)
    check = Courier.check

    def known(courier: Any) -> None:
        if courier._due_ns < 2**62:
            check(courier)

    patch.setattr(Courier, "check", known)


@variant
def retry_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    """The handler is always told that this is the first time."""
    after_failure = AlarmCell.after_failure

    def first(
        cell: AlarmCell, now_ns: int, jitter: float, *, counted: bool, retries_max: int
    ) -> AlarmCell | None:
        return after_failure(cell, now_ns, jitter, counted=False, retries_max=retries_max)

    patch.setattr(AlarmCell, "after_failure", first)


@variant
def retry_is_not_put_off(patch: pytest.MonkeyPatch) -> None:
    """It is tried again at once."""

    def now(
        cell: AlarmCell, now_ns: int, jitter: float, *, counted: bool, retries_max: int
    ) -> AlarmCell:
        return AlarmCell(now_ns, cell.scheduled_ns, cell.retries + counted)

    patch.setattr(AlarmCell, "after_failure", now)


@variant
def alarm_is_told_from_others_by_a_mark(patch: pytest.MonkeyPatch) -> None:
    """Setting it in a handler leaves a mark, which taking that back does not wipe out."""
    set_alarm, delete = AlarmFace.set, AlarmFace.delete
    marked: set[int] = set()

    def set_marked(face: Any, *when: Any, **at: Any) -> None:
        marked.add(id(face._activation.alarm))
        set_alarm(face, *when, **at)

    def delete_marked(face: Any) -> None:
        marked.add(id(face._activation.alarm))
        delete(face)

    def leaves(run: AlarmRun, cell: bytes | None) -> bool:
        return id(run) not in marked and cell == run.fired

    patch.setattr(AlarmFace, "set", set_marked)
    patch.setattr(AlarmFace, "delete", delete_marked)
    patch.setattr(AlarmRun, "leaves", leaves)


# --- sockets -------------------------------------------------------------------------------------


@variant
def frame_leaves_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    """What a turn sends goes out when it ends."""

    def release(sockets: Sockets, activation: Activation) -> None:
        effects, activation.effects = activation.effects, None
        for effect in effects or ():
            effect.do()

    patch.setattr(Sockets, "release", release)


@variant
def frame_of_an_undone_turn_leaves(patch: pytest.MonkeyPatch) -> None:
    """What a turn that raises has sent goes out with the next."""
    patch.setattr(Activation, "take_back", lambda activation, kept: None)


@variant
def frame_of_a_lost_batch_leaves(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at how the batch has ended."""

    def settled(sockets: Any, room: Any, ticket: Any) -> None:
        ticket.exception()
        sockets._let_go(room)

    drop = Sockets._drop

    def keep(sockets: Any, room: Any) -> None:
        held = room.held
        drop(sockets, room)
        room.held = held

    patch.setattr(Sockets, "_settled", settled)
    patch.setattr(Sockets, "_drop", keep)
    patch.setattr(Socket, "drop", lambda socket: None)


@variant
def sockets_stay_with_the_lost(patch: pytest.MonkeyPatch) -> None:
    """An activation that is thrown away is taken for one that goes to sleep."""

    def gone(sockets: Any, activation: Activation) -> None:
        activation.effects = None

    patch.setattr(Sockets, "gone", gone)


@variant
def sockets_go_with_the_sleeping(patch: pytest.MonkeyPatch) -> None:
    """An actor that goes to sleep loses its sockets."""

    def gone(sockets: Any, activation: Activation) -> None:
        room = sockets._rooms.get(activation.id)
        if room is not None:
            sockets._drop(room)

    patch.setattr(Sockets, "gone", gone)


@variant
def ping_wakes_the_actor(patch: pytest.MonkeyPatch) -> None:
    """An automatic answer is given when the actor is awake, and wakes it."""
    received = Socket.received

    def slow(socket: Any, message: Any) -> None:
        if socket.room is not None:
            sockets = socket._home
            sockets._post(socket.room.type, socket.room.actor, sockets._plan, _Nothing(socket))
        received(socket, message)

    patch.setattr(Socket, "received", slow)


class _Nothing:
    """An event that nobody handles."""

    hook = "on_nothing"
    args = ()

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.begun = False


@variant
def ping_waits_its_turn(patch: pytest.MonkeyPatch) -> None:
    """An automatic answer leaves with what the actor sends."""
    received = Socket.received

    def later(socket: Any, message: Any) -> None:
        if message == PING:
            socket._home.soon(lambda: received(socket, message))
        else:
            received(socket, message)

    patch.setattr(Socket, "received", later)


@variant
def attachment_is_not_undone(patch: pytest.MonkeyPatch) -> None:
    """What is attached in a turn that raises stays."""
    prop = Socket.attachment

    def attach(socket: Any, value: object) -> None:
        later, socket._home.later = socket._home.later, lambda room, do, undo: None
        try:
            prop.fset(socket, value)  # type: ignore[attr-defined]
        finally:
            socket._home.later = later

    patch.setattr(Socket, "attachment", property(prop.fget, attach))  # type: ignore[attr-defined]


@variant
def the_lost_are_thrown_away_one_by_one(patch: pytest.MonkeyPatch) -> None:
    """Messages go to the next activation of the first while the last knows of nothing."""

    def one_by_one(life: Activator, activations: Any, cause: WakefulError) -> None:
        for activation in activations:
            life.discard(activation, cause)

    patch.setattr(Activator, "discard_lost", one_by_one)
    patch.setattr("wakeful.testing.workload.GOSSIP", 1.0)


# --- transactions and abort ----------------------------------------------------------------------


@variant
def transaction_forgets_state(patch: pytest.MonkeyPatch) -> None:
    """A transaction that fails keeps the declared state as it has left it."""

    async def forgetful(loop: Any, activation: Activation, work: Any) -> object:
        left: dict[str, Any] = {}

        async def noting() -> object:
            try:
                return await work()
            except Exception:
                left.update(deepcopy({name: vars(activation.instance)[name] for name in STATE}))
                raise

        try:
            return await transact(loop, activation, noting)
        except Exception:
            vars(activation.instance).update(left)
            raise

    patch.setattr("wakeful.runtime.host.transact", forgetful)


def _transactions_forget(patch: pytest.MonkeyPatch, kind: type) -> None:
    """What goes back to a mark, and not to a commit point, leaves one kind of part as it is."""
    undo = WorkingSet.undo

    def forgetful(working: WorkingSet[CommitRecord], marks: Marks = ()) -> None:
        parts = working._parts
        if marks:
            working._parts = tuple(part for part in parts if not isinstance(part, kind))
            marks = tuple(
                mark for part, mark in zip(parts, marks, strict=False) if part in working._parts
            )
        undo(working, marks)
        working._parts = parts

    patch.setattr(WorkingSet, "undo", forgetful)


@variant
def transaction_forgets_rows(patch: pytest.MonkeyPatch) -> None:
    """A transaction that fails keeps what it did in SQL."""
    _transactions_forget(patch, SqlDatabase)


@variant
def transaction_forgets_cells(patch: pytest.MonkeyPatch) -> None:
    """A transaction that fails keeps what it put, its alarm included."""
    _transactions_forget(patch, WriteBuffer)


@variant
def transaction_forgets_the_alarm(patch: pytest.MonkeyPatch) -> None:
    """A transaction that fails keeps the alarm as it has set it."""
    undo = WorkingSet.undo

    def partly(working: WorkingSet[CommitRecord], marks: Marks = ()) -> None:
        agendas = [part for part in working._parts if isinstance(part, Agenda)]
        alarms = [agenda.get(ALARM) for agenda in agendas]
        undo(working, marks)
        for agenda, alarm in zip(agendas, alarms, strict=True):
            if marks and alarm is not None:
                agenda.set(ALARM, alarm)

    patch.setattr(WorkingSet, "undo", partly)


@variant
def transaction_forgets_what_it_sent(patch: pytest.MonkeyPatch) -> None:
    """What a transaction that fails has sent goes out with the turn."""
    take_back = Activation.take_back

    def outside(activation: Activation, kept: int) -> None:
        if activation.transaction is None:
            take_back(activation, kept)

    patch.setattr(Activation, "take_back", outside)


@variant
def transaction_of_an_object_is_committed_step_by_step(patch: pytest.MonkeyPatch) -> None:
    """Its steps are commit points like any others."""
    commit = Gated.commit

    def heedless(gated: Gated) -> None:
        activation = gated.activation
        transaction, activation.transaction = activation.transaction, None
        commit(gated)
        activation.transaction = transaction

    patch.setattr(Gated, "commit", heedless)


@variant
def transaction_of_an_object_forgets_rows(patch: pytest.MonkeyPatch) -> None:
    """What is rolled back stays in SQL."""
    patch.setattr(SqlDatabase, "undo", lambda database, mark=None: None)


@variant
def sections_overlap(patch: pytest.MonkeyPatch) -> None:
    """The gate of an object lets every step pass."""
    patch.setattr(Gated, "_admits", lambda gated: True)


@variant
def abort_keeps_what_was_written(patch: pytest.MonkeyPatch) -> None:
    """What is in memory is committed before the activation goes."""
    discard = Host.discard

    def commit_first(host: Host, activation: Activation, cause: WakefulError) -> None:
        if isinstance(cause, ActorAborted) and activation.save():
            host.committer.wrote(activation)
        discard(host, activation, cause)

    patch.setattr(Host, "discard", commit_first)


@variant
def abort_undoes_and_goes_on(patch: pytest.MonkeyPatch) -> None:
    """The turn is undone, and the activation stays, with its sockets."""
    discard = Activator.discard

    def stay(life: Activator, activation: Activation, cause: WakefulError) -> None:
        if str(cause) != "on purpose":
            discard(life, activation, cause)

    patch.setattr(Activator, "discard", stay)


@pytest.mark.parametrize("plant", variant, ids=lambda plant: plant.__name__)
def test_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(plant, monkeypatch, SEEDS_MAX), plant.__doc__
