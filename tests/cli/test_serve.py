"""`wakeful serve` as people meet it: a process, its lines, its exit code."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx2
import pytest

Launch = Callable[..., Any]  # see conftest


def increment(client: httpx2.Client, url: str, name: str = "c1") -> object:
    return client.post(f"{url}/actors/Counter/{name}/increment").raise_for_status().json()


def test_state_survives_a_restart(launch: Launch, app: Path, client: httpx2.Client) -> None:
    for expected in (1, 2):
        server = launch("serve", "app.py", "--port", "0")
        assert increment(client, server.url()) == expected
        assert server.interrupt() == 0
        assert server.out.rest().count("\n") == 0
        assert server.err.rest() == "stopping (once more to stop at once)"
    assert not (app.parent / ".wakeful" / "server.json").exists()


def test_state_survives_a_kill(launch: Launch, app: Path, client: httpx2.Client) -> None:
    for expected in (1, 2):
        server = launch("serve", "app.py", "--port", "0", "--data", "kept")
        assert increment(client, server.url()) == expected
        server.interrupt(signal.SIGKILL)


def test_module_is_served_with_settings(launch: Launch, app: Path, client: httpx2.Client) -> None:
    app.rename(app.parent / "shop.py")
    server = launch("serve", "shop:Counter", "--port=0", "--idle-timeout=0.5", "--max-active=1")
    url = server.url()
    assert [increment(client, url, name) for name in ("a", "b", "a", "b")] == [1, 1, 2, 2]
    assert server.interrupt(signal.SIGTERM) == 0


def test_failures_of_actors_are_json_lines(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("serve", "app.py", "--port", "0")
    url = server.url()
    assert client.post(f"{url}/actors/Counter/c1/divide", json={"by": 0}).status_code == 500
    assert client.post(f"{url}/actors/Counter/c1/divide", json={"by": "x"}).status_code == 422
    line = json.loads(server.err.until("call failed").string)
    assert line["level"] == "error"
    assert line["path"] == "/actors/Counter/c1/divide"
    assert line["code"] == "actor_raised"
    assert "return 1 / by" in line["exception"]
    assert server.interrupt() == 0
    assert server.err.rest().count("call failed") == 1


def test_the_collector_leaves_out_what_was_imported(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    (app.parent / "look.py").write_text(
        dedent("""
            import gc
            from wakeful import DurableObject, readonly

            class Collector(DurableObject):
                @readonly
                async def frozen(self) -> int:
                    return gc.get_freeze_count()
        """)
    )
    server = launch("serve", "look.py", "--port", "0")
    frozen = client.get(f"{server.url()}/actors/Collector/c/frozen").raise_for_status().json()
    assert frozen > 10_000
    assert server.interrupt() == 0


def test_second_signal_ends_at_once(launch: Launch, app: Path, client: httpx2.Client) -> None:
    app.write_text(
        "import asyncio\nfrom wakeful import DurableObject\nclass Slow(DurableObject):\n"
        "    async def wait(self) -> None:\n"
        "        print('waiting', flush=True)\n"
        "        await asyncio.Event().wait()\n"
    )
    server = launch("serve", "app.py", "--port", "0")
    url = server.url()
    with socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0)) as caller:
        caller.sendall(b"POST /actors/Slow/s/wait HTTP/1.1\r\nhost: localhost\r\n\r\n")
        server.out.until("waiting")
        server.process.send_signal(signal.SIGINT)
        server.err.until("stopping")
        assert server.interrupt() == 128 + signal.SIGINT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_dev_ends_on_a_signal_while_it_imports_the_code(
    launch: Launch, app: Path, number: int, code: int
) -> None:
    app.write_text(
        "import signal\nprint('importing', flush=True)\n"
        "try:\n    signal.pause()\nexcept Exception:\n    pass\n"
    )
    server = launch("dev", "app.py", "--port", "0")
    server.out.until("importing")
    assert server.interrupt(number) == code


def test_signal_while_the_directory_is_opened_is_an_orderly_end(app: Path, tmp_path: Path) -> None:
    program = """
        import asyncio, os, signal
        from pathlib import Path
        from wakeful import Config, Runtime
        from wakeful.cli.process import Settings, run
        from wakeful.cli.serve import _serve

        class Slow(Runtime):
            async def __aenter__(self):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(10):  # turns of the loop until it hears of it
                    await asyncio.sleep(0)
                return await super().__aenter__()

        here = Path("data")
        chosen = Settings("127.0.0.1", 0, here, Config(), traceback=False, strict=False)
        run(_serve(chosen, Slow(here, [])))
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "stopping (once more to stop at once)\n"


def test_address_others_can_reach_is_warned_about(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    server = launch("serve", "app.py", "--host", "0.0.0.0", "--port", "0")
    port = httpx2.URL(server.url()).port
    server.err.until("warning: calls are not authenticated")
    assert increment(client, f"http://127.0.0.1:{port}") == 1
    # The admin paths are closed to others, but not to the command on this machine.
    admin = f"http://127.0.0.1:{port}/_wakeful/actors"
    assert client.get(admin).status_code == 403
    assert (app.parent / ".wakeful" / "server.json").stat().st_mode & 0o077 == 0
    listed = launch("actors", "ls", "--json")
    assert listed.wait() == 0
    assert json.loads(listed.out.rest()) == {"types": [{"type": "Counter", "actors": 1}]}


def test_actors_of_a_running_server(launch: Launch, app: Path, client: httpx2.Client) -> None:
    server = launch("serve", "app.py", "--port", "0")
    url = server.url()
    for name in ("c1", "c2", "d/1 ü"):
        increment(client, url, name)
    listed = launch("actors", "ls", "--type", "Counter", "--limit", "2", "--json")
    shown = launch("actors", "get", "Counter", "d/1 ü", "--json")
    missing = launch("actors", "get", "Counter", "c9")
    rows = json.loads(listed.out.rest())
    assert ([row["name"] for row in rows["actors"]], rows["more"]) == (["c1", "c2"], True)
    assert json.loads(shown.out.rest())["state"] == {"count": 1}
    assert (missing.wait(), missing.err.rest()) == (1, "error: Counter/c9 is not stored")
    deleted = launch("actors", "delete", "Counter", "c1", "--yes")  # after the list has been read
    assert (deleted.wait(), deleted.out.rest()) == (0, "deleted Counter/c1")
    assert increment(client, url, "c1") == 1


def one_line(launch: Launch, code: int, *args: str) -> str:
    """The one line that says what went wrong."""
    command = launch(*args)
    assert command.wait() == code
    error: str = command.err.rest()
    assert error.startswith("error: ")
    assert error.count("\n") == 0
    assert command.out.rest() == ""
    return error


@pytest.mark.parametrize("mode", ["serve", "dev"])
def test_port_that_is_taken(launch: Launch, app: Path, mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = one_line(launch, 5, mode, "app.py", "--port", port)
    assert f"port {port} on 127.0.0.1 is in use" in error
    assert not (app.parent / ".wakeful").exists()


@pytest.mark.parametrize("mode", ["serve", "dev"])
def test_directory_of_another_process(launch: Launch, app: Path, mode: str) -> None:
    owner = launch("serve", "app.py", "--port", "0")
    owner.url()
    error = one_line(launch, 4, mode, "app.py", "--port", "0")
    assert f".wakeful is in use by process {owner.process.pid}" in error


def test_a_journal_that_has_lost_its_end(launch: Launch, app: Path, client: httpx2.Client) -> None:
    """It is a line of the log; with --strict-recovery the server does not start."""
    server = launch("serve", "app.py", "--port", "0")
    url = server.url()
    for _ in range(70):
        increment(client, url)
    server.interrupt(signal.SIGKILL)
    (app.parent / ".wakeful" / "partition-0000.db-wal").unlink()
    error = one_line(launch, 4, "serve", "app.py", "--port", "0", "--strict-recovery")
    assert " batches are missing" in error
    server = launch("serve", "app.py", "--port", "0")
    line = json.loads(server.err.until("batches are missing").string)
    assert 64 <= line["batches"] <= 70
    assert increment(client, server.url()) == 1
    assert server.interrupt() == 0


@pytest.mark.parametrize("mode", ["serve", "dev"])
def test_import_error(launch: Launch, app: Path, mode: str) -> None:
    app.write_text("\nimport nowhere_at_all\n")
    error = one_line(launch, 3, mode, "app.py", "--port", "0")
    assert "app.py:2: ModuleNotFoundError: No module named 'nowhere_at_all'" in error


def test_no_actors_shows_what_one_looks_like(launch: Launch, app: Path) -> None:
    app.write_text("")
    command = launch("serve", "app.py", "--port", "0")
    assert command.wait() == 3
    first, _, rest = command.err.rest().partition("\n")
    assert first == "error: app.py has no actors"
    assert "class Counter(DurableObject):" in rest


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (("app.py", "--host", "no.such.host.invalid"), 5, "is no address of this machine"),
        (("app.py", "--idle-timeout", "0"), 2, "--idle-timeout must be more than 0 seconds"),
        (("app.py", "--max-active", "0"), 2, "--max-active must be more than 0"),
        (
            ("twice.py", "--port", "0"),
            3,
            "named 'Counter', app.Counter and twice.Counter: rename one",
        ),
    ],
)
def test_other_starts_that_fail(
    launch: Launch, app: Path, args: tuple[str, ...], code: int, error: str
) -> None:
    twice = "from app import Counter as A\nclass Counter(A): ...\nactors = [A, Counter]"
    (app.parent / "twice.py").write_text(twice)
    assert error in one_line(launch, code, "serve", *args)


def test_names_and_origins_of_a_proxy_in_front_can_be_allowed(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    allowed = ("--allow-host", "shop.example", "--allow-origin", "https://app.example")
    server = launch("serve", "app.py", "--port", "0", *allowed)
    url = f"{server.url()}/actors/Counter/c1/increment"

    def status(**headers: str) -> int:
        return client.post(url, headers=headers).status_code

    assert status(host="shop.example") == 200
    assert status(host="other.example") == 403
    assert status(origin="https://app.example") == 200
    assert status(origin="https://other.example") == 403
    assert server.interrupt() == 0


def test_counter_example(launch: Launch, client: httpx2.Client, tmp_path: Path) -> None:
    """What `make run` serves, with the calls of its README."""
    root = Path(__file__).parents[2]
    app = root / "examples" / "counter" / "app.py"
    server = launch("dev", app, "--port", "0", "--data", tmp_path / "data", cwd=root)
    counter = server.url() + "/actors/Counter/counter-1"
    assert client.post(f"{counter}/increment").json() == 1
    form = {"content-type": "application/x-www-form-urlencoded"}  # as curl -d sends it
    assert client.post(f"{counter}/increment", content='{"by": 5}', headers=form).json() == 6
    assert client.post(f"{counter}/decrement").json() == 5
    assert client.get(f"{counter}/get").json() == 5
    assert client.get(f"{counter}/increment").status_code == 405
    assert client.post(f"{counter}/decrement", json={"by": 9}).json() == 0
    assert server.interrupt() == 0


def test_process_ends_though_a_task_ignores_that_it_is_cancelled() -> None:
    program = """
        import asyncio
        from wakeful.cli.process import run

        async def deaf():
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    print("not me")

        async def main():
            kept.append(asyncio.create_task(deaf()))
            await asyncio.sleep(0)

        kept = []
        run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "not me\n", "")


def test_admin_token_opens_the_admin_paths_and_is_not_told(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    token = "a token of some length"
    server = launch("serve", "app.py", "--port", "0", env={"WAKEFUL_ADMIN_TOKEN": token})
    url = server.url() + "/_wakeful/actors"
    assert client.get(url).status_code == 403
    wrong = client.get(url, headers={"authorization": "Bearer another token of it"})
    assert wrong.status_code == 403
    assert client.get(url, headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert server.interrupt() == 0
    assert token not in server.out.rest() + server.err.rest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tls-cert", "cert.pem"], "http.tls_cert is set and http.tls_key is not"),
        (["--tls-cert", "no.pem", "--tls-key", "no.pem"], "cannot be used"),
        (["--admin-token", "short"], "at least 16 characters"),
        (["--log-level", "loud"], "loud"),
    ],
)
def test_settings_that_cannot_be_used_are_wrong_usage(
    launch: Launch, app: Path, options: list[str], message: str
) -> None:
    server = launch("serve", "app.py", "--port", "0", *options)
    assert server.wait() == 2
    assert message in server.err.rest()


def test_interrupted_while_starting_is_no_failure(launch: Launch, app: Path) -> None:
    app.write_text("import signal\nprint('importing', flush=True)\nsignal.pause()\n")
    server = launch("serve", "app.py", "--port", "0")
    server.out.until("importing")
    assert server.interrupt() == 130
    assert server.err.rest() == "stopped while starting"


def test_the_package_is_a_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "wakeful", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("wakeful ")
