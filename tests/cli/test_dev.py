"""`wakeful dev`: the code changes, the state stays, and what goes wrong can be read."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

Launch = Callable[..., Any]  # see conftest

DOUBLE = """
    async def double(self) -> int:
        self.count *= 2
        return self.count
"""


def post(client: httpx2.Client, url: str, method: str, **body: object) -> httpx2.Response:
    return client.post(f"{url}/actors/Counter/c1/{method}", json=body)


def test_reload_keeps_state_and_brings_new_methods(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    assert post(client, url, "increment", by=21).json() == 21
    assert post(client, url, "double").status_code == 404
    app.write_text(app.read_text() + DOUBLE)
    line = server.out.until("^reloaded app.py in [0-9]+ ms").string
    assert "Counter" in line
    assert "what was only in memory starts anew" in line
    assert post(client, url, "double").json() == 42
    assert server.interrupt() == 0


def test_broken_edit_keeps_the_old_code_serving(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    working = app.read_text()
    post(client, url, "increment")
    app.write_text(working + "    oh no\n")
    error = server.err.until("^not reloaded: ").string
    assert "app.py:17: SyntaxError: invalid syntax" in error
    assert any("❱ 17     oh no" in line for line in server.err.seen)
    assert post(client, url, "increment").json() == 2
    app.write_text(working.replace("= 1) -> int", "= 10) -> int"))
    server.out.until("^reloaded")
    assert post(client, url, "increment").json() == 12


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        ("raise ValueError('not today')", "app.py:1: ValueError: not today"),
        ("x = 1", "app.py has no actors"),
        ("actors = [1]", "actors[0] is neither an actor class nor a spec"),
        (
            "from wakeful import DurableObject as D\nclass A(D):\n x: int = 0\nB = A\n"
            "class A(D):\n y: int = 0\nactors = [A, B]",
            "two actor types are named 'A'",
        ),
        (
            "from wakeful import DurableObject\nclass A(DurableObject):\n"
            " async def f(self, x: 'Nowhere'): ...",
            "A.f: an annotation names something that does not exist",
        ),
    ],
)
def test_code_that_cannot_be_used_changes_nothing(
    launch: Launch, app: Path, client: httpx2.Client, edit: str, error: str
) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    app.write_text(edit)
    assert error in server.err.until("^not reloaded: ").string
    assert post(client, url, "increment").json() == 1


def test_neighbours_are_reloaded_and_strangers_are_not(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    steps = app.parent / "steps.py"
    steps.write_text("STEP = 1\n")
    app.write_text(app.read_text().replace("+= by", "+= STEP") + "\nfrom steps import STEP\n")
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    (app.parent / "stranger.py").write_text("nothing imports this\n")
    steps.write_text("STEP = 7\n")  # the same size within the same second
    server.out.until("^reloaded")
    assert post(client, url, "increment").json() == 7
    assert server.interrupt() == 0
    assert server.out.rest().count("reloaded app.py") == 1


def test_missing_module_is_noticed_when_it_comes(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    app.write_text(app.read_text().replace("+= by", "+= STEP") + "\nfrom steps import STEP\n")
    assert "No module named 'steps'" in server.err.until("^not reloaded: ").string
    (app.parent / "steps.py").write_text("STEP = 5\n")
    server.out.until("^reloaded")
    assert post(client, url, "increment").json() == 5


def test_no_call_is_lost_while_the_code_changes(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    """Callers that never stop see each of their increments counted once, through five reloads."""
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    enough = threading.Event()
    answers: list[tuple[int, object]] = []

    def call() -> None:
        with httpx2.Client(trust_env=False) as caller:
            while not enough.is_set():
                response = post(caller, url, "increment")
                answers.append((response.status_code, response.json()))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for number in range(5):
            app.write_text(app.read_text() + f"\n# {number}\n")
            server.out.until("^reloaded")
    finally:
        enough.set()
        for caller in callers:
            caller.join()
    assert {status for status, _ in answers} == {200}
    assert sorted(count for _, count in answers) == list(range(1, len(answers) + 1))


def test_each_call_has_a_line(launch: Launch, app: Path, client: httpx2.Client) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    post(client, url, "increment")
    assert client.get(f"{url}/actors/Counter/c1/get").json() == 1
    client.get(f"{url}/_wakeful/health")
    client.get(f"{url}/nothing")
    client.post(f"{url}/actors/Counter/a%1B%5B1m%0Ab/increment")
    server.out.until(r"^POST Counter/c1 increment 200 \d+\.\d ms$")
    server.out.until(r"^GET  Counter/c1 get 200 \d+\.\d ms$")
    server.out.until(r"^GET  /nothing 404 ")
    server.out.until(re.escape(r"POST Counter/a\x1b[1m\nb increment 200"))
    assert not any("_wakeful" in line for line in server.out.seen)


def test_what_an_actor_raises_is_shown_with_the_users_lines_only(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    assert post(client, url, "divide", by=0).status_code == 500
    server.err.until("ZeroDivisionError: division by zero")
    text = "\n".join(server.err.seen)
    assert "app.py:12 in divide" in text
    assert "❱ 12         return 1 / by" in text
    assert "wakeful" not in text.replace("from wakeful import", "")
    assert client.get(f"{url}/actors/Counter/c1/get").json() == 0


def test_actor_that_cannot_wake_is_shown(launch: Launch, app: Path, client: httpx2.Client) -> None:
    app.write_text(
        app.read_text() + "\n    async def on_activate(self) -> None:\n        self.ages['x'] = 1\n"
    )
    server = launch("dev", "app.py", "--port", "0")
    assert post(client, server.url(), "increment").status_code == 500
    server.err.until("AttributeError: 'Counter' object has no attribute 'ages'")
    assert any("self.ages['x'] = 1" in line for line in server.err.seen)


def test_start_says_what_to_try(launch: Launch, app: Path, client: httpx2.Client) -> None:
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    command = server.out.until("^try: curl -X POST (.*)")[1]
    assert command == f"{url}/actors/Counter/counter-1/increment"
    assert client.post(command).json() == 1


PARTNER = """
    async def partly(self) -> None:
        self.count += 1
        await self.ctx.get(Counter, "c2").increment()
        raise ValueError("too late")
"""


def test_changes_that_stand_although_their_turn_raised_are_told(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    app.write_text(app.read_text() + PARTNER)
    server = launch("dev", "app.py", "--port", "0")
    url = server.url()
    assert post(client, url, "partly").status_code == 500
    line = server.err.until("^warning: Counter.partly raised after").string
    assert "called Counter.increment: what it changed before that call is committed" in line
    assert "ValueError: too late" in line
    assert client.get(f"{url}/actors/Counter/c1/get").json() == 1


def test_serve_does_not_tell_of_changes_that_stand(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    app.write_text(app.read_text() + PARTNER)
    server = launch("serve", "app.py", "--port", "0")
    assert post(client, server.url(), "partly").status_code == 500
    assert server.interrupt() == 0
    assert "committed" not in server.err.rest() + "".join(server.err.seen)
