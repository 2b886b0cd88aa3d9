"""A Worker's configuration: three file forms, one meaning, and errors that say what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wakeful.errors import ConfigError
from wakeful.workers.config.migrations import Gift, Migration, Rename, Transfer
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.wrangler import (
    DurableObjectBinding,
    ServiceBinding,
    WranglerConfig,
    find_config,
    read_config,
)

TOML = """
name = "counter"
main = "src/entry.py"
compatibility_date = "2026-03-01"
compatibility_flags = ["python_workers"]

[vars]
GREETING = "hello"
LIMITS = { high = 3 }

[[durable_objects.bindings]]
name = "COUNTERS"
class_name = "Counter"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["Counter"]
"""

JSON = {
    "name": "counter",
    "main": "src/entry.py",
    "compatibility_date": "2026-03-01",
    "compatibility_flags": ["python_workers"],
    "vars": {"GREETING": "hello", "LIMITS": {"high": 3}},
    "durable_objects": {"bindings": [{"name": "COUNTERS", "class_name": "Counter"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
}

JSONC = json.dumps(JSON, indent=2).replace('"name"', '// who\n"name"', 1).replace("]\n}", "],\n}")

Make = Callable[..., WranglerConfig]


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    return tmp_path


@pytest.fixture
def make(worker: Path) -> Make:
    """A configuration from JSON with some keys changed; None removes one."""

    def make(
        changes: dict[str, Any] | None = None, environment: str | None = None, **options: Any
    ) -> Any:
        data = {**JSON, **(changes or {})}
        data = {key: value for key, value in data.items() if value is not None}
        (worker / "wrangler.json").write_text(json.dumps(data))
        return read_config(worker, environment, **options)

    return make


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("wrangler.toml", TOML),
        ("wrangler.json", json.dumps(JSON)),
        ("wrangler.jsonc", JSONC),
    ],
)
def test_three_forms_one_meaning(worker: Path, name: str, text: str) -> None:
    (worker / name).write_text(text)
    config = read_config(worker)
    assert config == read_config(worker / name)
    assert (config.file, config.directory) == (worker / name, worker)
    assert (config.name, config.main) == ("counter", (worker / "src/entry.py").resolve())
    assert config.compatibility_date == "2026-03-01"
    assert config.compatibility_flags == ("python_workers",)
    assert config.bindings == (DurableObjectBinding("COUNTERS", "Counter"),)
    assert config.own_classes() == ["Counter"]
    assert config.storage_of("Counter") == "sqlite"
    assert config.vars == {"GREETING": "hello", "LIMITS": {"high": 3}}
    assert (config.secrets, config.crons, config.rest) == ({}, (), {})
    assert (config.missing, config.warnings) == ((), ())


def test_the_file_is_found_in_the_order_wrangler_looks(worker: Path) -> None:
    assert find_config(worker) is None
    for name in ("wrangler.toml", "wrangler.jsonc", "wrangler.json"):
        (worker / name).write_text("")
        assert find_config(worker) == worker / name
    assert find_config(worker / "src" / "entry.py") is None


def test_a_directory_without_a_file(worker: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no wrangler\.json, wrangler\.jsonc or wrangler\."):
        read_config(worker)


def test_secrets(worker: Path, make: Make) -> None:
    (worker / ".dev.vars").write_text("KEY=one")
    (worker / ".dev.vars.staging").write_text("KEY=two")
    assert make().secrets == {"KEY": "one"}
    assert make({"env": {"staging": {}, "other": {}}}, "staging").secrets == {"KEY": "two"}
    assert make({"env": {"staging": {}, "other": {}}}, "other").secrets == {"KEY": "one"}
    (worker / ".dev.vars").write_text("A=1\nnothing")
    with pytest.raises(ConfigError, match=r"\.dev\.vars: line 2 is not KEY=VALUE"):
        make()


def test_secrets_in_env_files(worker: Path, make: Make) -> None:
    (worker / ".env").write_text("A=env\nB=env\nC=env")
    (worker / ".env.local").write_text("B=local")
    (worker / ".env.staging").write_text("B=staging\nC=staging")
    assert make().secrets == {"A": "env", "B": "local", "C": "env"}
    staging = {"env": {"staging": {}}}
    assert make(staging, "staging").secrets == {"A": "env", "B": "local", "C": "staging"}
    (worker / ".env.staging.local").write_text("B=both")
    assert make(staging, "staging").secrets["B"] == "both"
    (worker / ".dev.vars").write_text("B=vars")
    assert make().secrets == {"B": "vars"}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that cannot be read")
def test_secrets_that_cannot_be_read(worker: Path, make: Make) -> None:
    (worker / ".dev.vars").symlink_to("/proc/self/mem")
    with pytest.raises(ConfigError, match=r"\.dev\.vars: it cannot be read: "):
        make()


def test_secrets_that_are_required(
    worker: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    (worker / ".dev.vars").write_text("A=1\nB=2")
    assert make({"secrets": {"required": ["A"]}}).secrets == {"A": "1"}
    assert capsys.readouterr().out == ""
    assert make({"secrets": {"required": ["C", "B"]}}).secrets == {"B": "2"}
    assert "name='C'" in capsys.readouterr().out
    assert "secrets.needed: unknown key" in make({"secrets": {"needed": ["A"]}}).warnings[0]


def test_an_environment_inherits_no_bindings(make: Make) -> None:
    staging = {
        "compatibility_flags": ["python_workers", "x"],
        "vars": {"ONLY": "here"},
        "durable_objects": {"bindings": [{"name": "B", "class_name": "Other"}]},
    }
    config = make({"env": {"staging": staging, "named": {"name": "n"}}}, "staging")
    assert config.name == "counter-staging"
    assert config.compatibility_flags == ("python_workers", "x")
    assert config.compatibility_date == "2026-03-01"
    assert config.vars == {"ONLY": "here"}
    assert [binding.name for binding in config.bindings] == ["B"]
    assert config.storage_of("Other") is None
    named = make({"env": {"named": {"name": "n"}}}, "named")
    assert (named.name, named.bindings, named.classes.storage) == ("n", (), {})
    with pytest.raises(ConfigError, match=r"env\.prod: there is no such environment; there are: n"):
        make({"env": {"n": {}}}, "prod")


def test_history_of_classes(make: Make) -> None:
    config = make(
        {
            "migrations": [
                {"tag": "v1", "new_classes": ["Old"], "new_sqlite_classes": ["Counter", "Gone"]},
                {"tag": "v2", "renamed_classes": [{"from": "Old", "to": "New"}]},
                {
                    "tag": "v3",
                    "deleted_classes": ["Gone"],
                    "transferred_classes": [{"from": "A", "from_script": "w", "to": "B"}],
                },
            ]
        }
    )
    assert config.classes.storage == {"Counter": "sqlite", "New": "kv", "B": None}
    steps = config.classes.migrations
    assert steps[1].renamed_classes == (Rename("Old", "New"),)
    assert steps[2].transferred_classes == (Transfer("A", "w", "B"),)


def test_exports_in_place_of_migrations(make: Make) -> None:
    exports = {"Counter": {"type": "durable-object", "storage": "sqlite"}}
    config = make({"migrations": None, "exports": exports | {"Two": {"type": "durable-object"}}})
    assert config.classes.storage == {"Counter": "sqlite", "Two": "sqlite"}
    assert config.own_classes() == ["Counter", "Two"]
    assert config.classes.migrations == ()


def test_exports_say_what_became_of_classes(make: Make) -> None:
    live = {"type": "durable-object", "state": "created", "storage": "sqlite"}
    config = make(
        {
            "migrations": None,
            "exports": {
                "New": live,
                "Old": {"type": "durable-object", "state": "renamed", "renamed_to": "New"},
                "Gone": {"type": "durable-object", "state": "deleted"},
                "Given": {"type": "durable-object", "state": "transferred", "transferred_to": "w"},
                "Awaited": live | {"state": "expecting-transfer", "transfer_from": "v"},
            },
        }
    )
    assert config.classes.storage == {"New": "sqlite", "Awaited": "sqlite"}
    assert config.classes.exports == Migration(
        "",
        renamed_classes=(Rename("Old", "New"),),
        deleted_classes=("Gone",),
        transferred_classes=(Transfer("Awaited", "v", "Awaited"),),
        given_classes=(Gift("Given", "w"),),
    )


def test_services(make: Make) -> None:
    services = [
        {"binding": "A", "service": "a", "entrypoint": "Admin", "props": {"x": 1}},
        {"binding": "B", "service": "b", "environment": "prod"},
    ]
    assert make({"services": services}).services == (
        ServiceBinding("A", "a", "Admin", {"x": 1}),
        ServiceBinding("B", "b-prod"),
    )


def test_own_classes_are_named_once_and_leave_out_those_of_others(make: Make) -> None:
    bindings = [
        {"name": "A", "class_name": "Counter"},
        {"name": "B", "class_name": "Counter", "script_name": "counter"},
        {"name": "C", "class_name": "Far", "script_name": "other", "environment": "prod"},
    ]
    config = make({"durable_objects": {"bindings": bindings}})
    assert config.own_classes() == ["Counter"]
    assert [config.is_own(binding) for binding in config.bindings] == [True, True, False]
    assert [config.script_of(binding) for binding in config.bindings][2] == "other-prod"


def test_flags(make: Make) -> None:
    config = make({"compatibility_flags": ["a", "no_b"]})
    assert config.enabled("a")
    assert not config.enabled("b", since="2026-01-01")
    assert config.enabled("c", since="2026-03-01")
    assert not config.enabled("c", since="2026-03-02")
    assert not config.enabled("c")
    assert not config.enabled("c", since="2026-01-01", off="a")
    assert not make({"compatibility_date": None}).enabled("c", since="2026-01-01")


def test_toml_dates(worker: Path) -> None:
    text = TOML.replace('"2026-03-01"', "2026-03-01").replace('"hello"', "2026-03-01")
    (worker / "wrangler.toml").write_text(text)
    config = read_config(worker)
    assert config.compatibility_date == "2026-03-01"
    assert config.vars["GREETING"] == "2026-03-01"


NEW = {"tag": "v1", "new_sqlite_classes": ["Counter"]}
BINDING = {"name": "COUNTERS", "class_name": "Counter"}


LIVE = {"type": "durable-object"}
RENAMED = {"type": "durable-object", "state": "renamed", "renamed_to": "B"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, r'name: missing. Add name = "..."'),
        ({"name": ""}, r"name: empty"),
        ({"name": "My Worker"}, r"name: 'My Worker': a Worker's name has lower-case"),
        ({"main": None}, r"main: missing"),
        ({"main": None, "mian": "x.py"}, r"main: missing \(is it mian\?\). Add main"),
        ({"main": 5}, r"main: expected text, got 5. Write it in quotes"),
        ({"main": "src/index.js"}, r"main: 'src/index.js' is not a Python file"),
        ({"main": "src/none.py"}, r"main: there is no file .*/src/none.py"),
        ({"main": "src/\0.py"}, r"main: 'src/\\x00.py' cannot be a path"),
        ({"main": "x" * 300 + ".py"}, r"main: there is no file .*/xxx"),
        ({"main": "src/round.py"}, r"main: there is no file .*/src/round.py"),
        ({"assets": {"directory": "a\0"}}, r"assets.directory: 'a\\x00' cannot be a path"),
        ({"assets": {"directory": "x" * 300}}, r"assets.directory: there is no directory .*/xxx"),
        ({"compatibility_date": "yesterday"}, r"compatibility_date: 'yesterday' is no date"),
        ({"compatibility_flags": "x"}, r"compatibility_flags: expected a list of texts, got 'x'"),
        ({"compatibility_flags": [1]}, r"compatibility_flags: expected texts in the list, got 1"),
        ({"vars": ["x"]}, r"vars: expected a table, got \['x'\]"),
        ({"durable_objects": {"bindings": {}}}, r"durable_objects.bindings: expected a list of"),
        ({"durable_objects": {"bindings": ["x"]}}, r"bindings\[0\]: expected a table, got 'x'"),
        (
            {"durable_objects": {"bindings": [{"name": "A"}]}},
            r"durable_objects.bindings\[0\].class_name: missing",
        ),
        (
            {"durable_objects": {"bindings": [{"name": "A", "class_name": "B-C"}]}},
            r"class_name: 'B-C' cannot be the name of a class",
        ),
        (
            {"durable_objects": {"bindings": [BINDING | {"environment": "x"}]}},
            r"environment: it needs script_name",
        ),
        (
            {"durable_objects": {"bindings": [BINDING, BINDING]}},
            r"'COUNTERS' is also in durable_objects.bindings",
        ),
        ({"vars": {"COUNTERS": "x"}}, r"'COUNTERS' is also in vars"),
        ({"migrations": [{"new_classes": ["A"]}]}, r"migrations\[0\].tag: missing"),
        (
            {"migrations": [NEW, NEW | {"new_sqlite_classes": ["B"]}]},
            r"migrations\[1\].tag: 'v1' is the tag of an earlier migration",
        ),
        (
            {"migrations": [NEW, {"tag": "v2", "new_classes": ["Counter"]}]},
            r"migrations\[1\].new_classes: 'Counter' exists already",
        ),
        (
            {"migrations": [{"tag": "v1", "renamed_classes": [{"from": "A", "to": "B"}]}]},
            r"renamed_classes: 'A' does not exist at this point. .* make: none",
        ),
        (
            {"migrations": [NEW, {"tag": "v2", "deleted_classes": ["A"]}]},
            r"migrations\[1\].deleted_classes: 'A' does not exist at this point. .*: Counter",
        ),
        (
            {"migrations": [{"tag": "v1", "renamed_classes": [{"from": "A"}]}]},
            r"renamed_classes\[0\].to: missing",
        ),
        ({"exports": {}}, r"exports: cannot be mixed with migrations"),
        (
            {"migrations": None, "exports": {"A": {"type": "durable-object", "state": "x"}}},
            r"exports.A.state: 'x' is none of: created, deleted, renamed, transferred, expecting-",
        ),
        (
            {"migrations": None, "exports": {"A": RENAMED}},
            r"exports.A.renamed_to: 'B' is not a created class in exports",
        ),
        (
            {
                "migrations": None,
                "exports": {"A": RENAMED, "C": RENAMED, "B": {"type": "durable-object"}},
            },
            r"exports.C.renamed_to: another class is renamed to 'B' too",
        ),
        (
            {"migrations": None, "exports": {"A": {"type": "worker"}}},
            r"exports.A.type: 'worker' is not \"durable-object\"",
        ),
        (
            {"migrations": None, "exports": {"A": {"type": "durable-object", "storage": "x"}}},
            r"exports.A.storage: 'x' is neither",
        ),
        ({"triggers": {"crons": "x"}}, r"triggers.crons: expected a list"),
        ({"kv_namespaces": [{"id": "1"}]}, r"kv_namespaces\[0\].binding: missing"),
        ({"kv_namespaces": [{"binding": "A", "id": "x" * 1025}]}, "at most 1024 bytes"),
        ({"kv_namespaces": [{"binding": "A", "remote": "yes"}]}, "remote: expected true or false"),
        ({"ai": 5}, "ai: expected a table, or a list of tables, got 5"),
        ({"ai": {"name": "AI"}}, "ai.binding: missing"),
        ({"vectorize": ["V"]}, r"vectorize\[0\]: expected a table, got 'V'"),
        ({"queues": ["Q"]}, r"queues: expected a table, got \['Q'\]"),
        ({"ai": {"binding": "GREETING"}}, "ai: 'GREETING' is also in vars"),
        ({"r2_buckets": [{"bucket_name": "f"}]}, r"r2_buckets\[0\].binding: missing"),
        ({"r2_buckets": [{"binding": "GREETING"}]}, "r2_buckets: 'GREETING' is also in vars"),
        ({"kv_namespaces": [{"binding": "COUNTERS"}]}, "'COUNTERS' is also in durable_objects"),
        ({"d1_databases": [{"binding": "GREETING"}]}, "d1_databases: 'GREETING' is also in vars"),
        ({"d1_databases": [{"binding": "D", "migrations_pattern": "*"}]}, "Use migrations_dir"),
        (
            {"d1_databases": [{"binding": "D", "migrations_dir": "m\0"}]},
            r"d1_databases\[0\].migrations_dir: 'm\\x00' cannot be a path",
        ),
        (
            {"ratelimits": [{"name": "R", "namespace_id": "1", "simple": {"period": 10}}]},
            r"ratelimits\[0\].simple.limit: expected a whole number of calls",
        ),
        (
            {
                "ratelimits": [
                    {"name": "R", "namespace_id": "1", "simple": {"limit": 1, "period": 7}}
                ]
            },
            "simple.period: expected 10 or 60 seconds, got 7",
        ),
    ],
)
def test_what_is_wrong_is_named(
    make: Make, worker: Path, changes: dict[str, Any], message: str
) -> None:
    (worker / "src" / "round.py").symlink_to("round.py")
    with pytest.raises(ConfigError, match=rf"wrangler\.json: .*{message}"):
        make(changes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wrangler.json", b"{,}", r"wrangler\.json: .*line 1, column 2"),
        ("wrangler.json", b"[]", r"expected an object with keys, got \[\]"),
        ("wrangler.toml", b"name = \n", r"wrangler\.toml: .*line 1"),
        ("wrangler.toml", b'name = "\xff"', r"it is not UTF-8 text"),
    ],
)
def test_malformed_files(worker: Path, name: str, content: bytes, message: str) -> None:
    (worker / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(worker)


def test_all_faults_are_told_at_once(make: Make, worker: Path) -> None:
    """A line each, and none of a value that stands where the wrong one was."""
    (worker / ".dev.vars").write_text("nothing")
    with pytest.raises(ConfigError) as caught:
        make(
            {
                "name": 5,
                "main": "src/index.js",
                "compatibility_date": "soon",
                "vars": "none",
                "durable_objects": {
                    "bindings": ["x", {"class_name": "A-B"}, {"name": 1, "class_name": "C"}]
                },
                "migrations": [
                    {"new_classes": "A"},
                    {"tag": "v2", "renamed_classes": [{"from": "A", "to": "B"}, {"to": 5}]},
                ],
                "kv_namespaces": [{"id": "1"}, {"binding": "K", "id": 2}],
                "ratelimits": [{"name": "R", "namespace_id": "1", "simple": 5}],
                "triggers": {"crons": ["x", "y"]},
                "assets": {"directory": "none", "html_handling": "x"},
                "ai": {"binding": "AI"},
            }
        )
    lines = str(caught.value).splitlines()
    places = [line.split(": ")[1] for line in lines if "wrangler.json" in line]
    assert [line for line in lines if ".dev.vars: line 1 is not KEY=VALUE" in line]
    assert sorted(places) == sorted(
        [
            *("name", "main", "compatibility_date", "vars"),
            *("durable_objects.bindings[0]", "durable_objects.bindings[1].class_name"),
            *("durable_objects.bindings[1].name", "durable_objects.bindings[2].name"),
            *("migrations[0].tag", "migrations[0].new_classes"),
            *("migrations[1].renamed_classes[1].from", "migrations[1].renamed_classes[1].to"),
            *("kv_namespaces[0].binding", "kv_namespaces[1].id", "ratelimits[0].simple"),
            *("triggers.crons", "triggers.crons", "assets.directory", "assets.html_handling"),
            *("ai binding 'AI'", "to start without, and have what uses it raise"),
        ]
    ), "\n".join(lines)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"//": "a comment"}, "//: unknown key; it has no effect"),
        ({"migration": [1]}, "migration: unknown key (is it migrations?); it has no effect"),
        ({"durable_objects": {"binding": []}}, "durable_objects.binding: unknown key (is it bind"),
        (
            {"durable_objects": {"bindings": [BINDING | {"clas_name": "x"}]}},
            "durable_objects.bindings[0].clas_name: unknown key (is it class_name?); it has no",
        ),
        (
            {"migrations": [NEW | {"sqlite_classes": ["B"]}]},
            "migrations[0].sqlite_classes: unknown key (is it new_sqlite_classes?); it has no",
        ),
        (
            {"migrations": None, "exports": {"Counter": LIVE | {"renamed_to": "x"}}},
            "exports.Counter.renamed_to: unknown key; it has no effect. Remove it; known here:",
        ),
        ({"kv_namespaces": [{"binding": "A", "x": 1}]}, "kv_namespaces[0].x: unknown key"),
        ({"version_metadata": {"binding": "V", "x": 1}}, "version_metadata.x: unknown key"),
        ({"queues": {"consumer": []}}, "queues.consumer: unknown key (is it consumers?)"),
        (
            {"r2_buckets": [{"binding": "F", "remote": True}]},
            "r2_buckets[0].remote: wakeful reaches nothing on Cloudflare: data of its own, kept",
        ),
        (
            {"services": [{"binding": "S", "service": "s", "remote": True}]},
            "services[0].remote: wakeful reaches nothing on Cloudflare: the Worker that the",
        ),
        (
            {"build": {"command": "npm run build", "cwd": "web"}},
            "build: wakeful does not run 'npm run build'. Run it yourself",
        ),
    ],
)
def test_what_has_no_effect_is_a_warning(
    make: Make, worker: Path, changes: dict[str, Any], warning: str
) -> None:
    (found,) = make(changes).warnings
    assert found.startswith(f"{worker}/wrangler.json: {warning}")


def test_a_key_that_toml_put_below_a_table_is_told_to_go_above(worker: Path) -> None:
    (worker / "public").mkdir()
    text = TOML + '[assets]\ndirectory = "public"\nroutes = ["a"]\n'
    (worker / "wrangler.toml").write_text(text)
    (found,) = read_config(worker).warnings
    assert "assets.routes: unknown key (it is a key of the top level: in TOML, a key" in found


def test_an_environment_is_named_where_something_is_wrong_in_it(make: Make) -> None:
    kv = {"kv_namespaces": [{"binding": "A", "x": 1}]}
    (found,) = make({"env": {"test": kv}}, "test").warnings
    assert "wrangler.json: env.test.kv_namespaces[0].x: unknown key" in found
    with pytest.raises(ConfigError, match=r"json: env\.test\.kv_namespaces\[0\]\.id: empty"):
        make({"env": {"test": {"kv_namespaces": [{"binding": "A", "id": ""}]}}}, "test")


MISSING = [
    ({"vectorize": [{"binding": "R"}]}, "vectorize binding 'R'", "env.R raises"),
    (
        {"queues": {"producers": [{"binding": "Q", "queue": "q"}]}},
        *("queues.producers binding 'Q'", "env.Q raises when it is used"),
    ),
    (
        {"queues": {"consumers": [{"queue": "q"}]}},
        *("queues.consumers 'q'", "queue() is never called for q"),
    ),
    ({"ai": {"binding": "AI", "remote": True}}, "ai binding 'AI'", "env.AI raises"),
    (
        {"workflows": [{"name": "w", "binding": "W", "class_name": "Flow"}]},
        *("workflows binding 'W'", "env.W raises when it is used, and Flow never runs"),
    ),
    ({"wasm_modules": {"X": "x.wasm"}}, "wasm_modules.X", "env.X raises when it is used"),
    ({"unsafe": {"bindings": [{"name": "U", "type": "x"}]}}, "unsafe.bindings 'U'", "env.U raises"),
    ({"access": {"aud": "x"}}, "access", "no visitor is asked to log in"),
    ({"send_email": [{"name": "MAIL"}]}, "send_email 'MAIL'", "env.MAIL raises when it is used"),
]


@pytest.mark.parametrize(("changes", "label", "here"), MISSING)
def test_what_is_not_provided_is_refused_or_said(
    make: Make, changes: dict[str, Any], label: str, here: str
) -> None:
    (missing,) = make(changes, allow_missing=EVERYTHING).missing
    assert (missing.label, missing.here[: len(here)]) == (label, here)
    assert missing.is_bound == here.startswith("env.")
    assert make(changes, allow_missing=[missing.name]).missing == (missing,)
    with pytest.raises(ConfigError) as caught:
        make(changes, allow_missing=["OTHER"])
    first, second = str(caught.value).splitlines()
    assert f"wrangler.json: {label}: wakeful does not provide " in first
    assert f"--allow-missing {missing.name} " in second


def test_all_that_is_missing_is_named_in_one_option(make: Make) -> None:
    changes = {"ai": {"binding": "AI"}, "vectorize": [{"binding": "A"}, {"binding": "B"}]}
    with pytest.raises(ConfigError, match=r"--allow-missing AI,A,B \("):
        make(changes)
    with pytest.raises(ConfigError, match=r"--allow-missing A,B \("):
        make(changes, allow_missing={"AI"})


def test_what_is_about_deploying_is_passed_over(make: Make) -> None:
    config = make({"$schema": "x", "observability": {"enabled": True}, "routes": ["a"], "ai": {}})
    assert (config.missing, config.warnings) == ((), ())
    for build in ({}, {"cwd": "web"}, None, "x"):
        assert make({"build": build}).warnings == ()


def test_resources(make: Make) -> None:
    config = make(
        {
            "kv_namespaces": [{"binding": "A", "id": "1", "preview_id": "2"}, {"binding": "B"}],
            "d1_databases": [
                {"binding": "D", "database_name": "shop"},
                {"binding": "E", "database_id": "7", "migrations_dir": "sql"},
            ],
            "r2_buckets": [
                {"binding": "F", "bucket_name": "files", "preview_bucket_name": "other"},
                {"binding": "G", "bucket_name": "files", "jurisdiction": "eu"},
                {"binding": "H"},
            ],
            "ratelimits": [
                {"name": "R", "namespace_id": "1", "simple": {"limit": 5, "period": 10}}
            ],
            "version_metadata": {"binding": "V"},
        }
    )
    found = config.resources
    assert [(kv.name, kv.id) for kv in found.kv] == [("A", "1"), ("B", "B")]
    assert [(d1.id, d1.database_name) for d1 in found.d1] == [("shop", "shop"), ("7", "E")]
    assert [d1.migrations_dir.name for d1 in found.d1] == ["migrations", "sql"]
    buckets = [("F", "files"), ("G", "eu/files"), ("H", "H")]
    assert [(r2.name, r2.bucket) for r2 in found.r2] == buckets
    assert (found.ratelimits[0].limit, found.version_metadata, found.assets) == (5, "V", None)
    assert (config.missing, config.warnings) == ((), ())
    assert dict(found.names())["V"] == "version_metadata"


def test_an_environment_has_its_own_resources_and_the_same_assets(make: Make, worker: Path) -> None:
    (worker / "public").mkdir()
    changes = {
        "kv_namespaces": [{"binding": "A"}],
        "assets": {"directory": "./public"},
        "triggers": {"crons": ["0 0 * * *"]},
        "env": {"test": {"migrations": JSON["migrations"]}},
    }
    config = make(changes, "test")
    assert config.resources.kv == ()
    assert config.resources.assets is not None
    assert [cron.text for cron in config.crons] == ["0 0 * * *"]
