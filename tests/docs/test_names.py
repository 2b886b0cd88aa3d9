"""Every setting, error code, metric and command is in the documentation, as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Context, Group

from wakeful import Runtime, errors, refusals
from wakeful.cli.main import command
from wakeful.config import Config, Limits
from wakeful.errors import Retry, WakefulError
from wakeful.http.settings import HttpSettings
from wakeful.store.memory import MemoryStore
from wakeful.telemetry.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `([a-z_]+)` \| `(\w+)` \| (\d+) \| ([a-z-]+) \|", re.MULTILINE)


def error_classes() -> list[type[WakefulError]]:
    found = [*vars(errors).values(), *vars(refusals).values()]
    kinds = {k for k in found if isinstance(k, type) and issubclass(k, WakefulError)}
    return [kind for kind in kinds if "code" in vars(kind)]


def test_every_error_is_documented_as_it_is() -> None:
    documented = {row[1]: row for row in ROW.findall((DOCS / "errors.md").read_text())}
    actual = {
        kind.__name__: (kind.code, kind.__name__, str(kind.http), kind.retry.value)
        for kind in error_classes()
    }

    assert documented == actual


def test_error_codes_are_unique() -> None:
    codes = [kind.code for kind in error_classes()]

    assert sorted(codes) == sorted(set(codes))


def test_every_retry_class_is_documented() -> None:
    text = (DOCS / "errors.md").read_text()

    assert [kind.value for kind in Retry if f"| `{kind.value}` |" not in text] == []


def _shown(default: float) -> str:
    return str(default) if isinstance(default, bool) else str(int(default))


@pytest.mark.parametrize("settings", [Config, Limits])
def test_every_setting_is_documented_with_its_default(settings: type[Config | Limits]) -> None:
    text = (DOCS / "operating.md").read_text().replace(",", "")
    missing = []
    for name, default in zip(settings.__struct_fields__, settings.__struct_defaults__, strict=True):
        shown = "" if isinstance(default, Limits) else f"{_shown(default)} "
        if f"| `{name}` | {shown}|" not in text:
            missing.append(f"{name} = {shown}")

    assert missing == []


def test_every_http_setting_is_documented() -> None:
    text = (DOCS / "http.md").read_text()

    assert [name for name in HttpSettings.__struct_fields__ if f"| `{name}` |" not in text] == []


async def test_every_metric_is_documented() -> None:
    text = (DOCS / "operating.md").read_text()
    async with Runtime(MemoryStore(), actors=[]) as rt:
        shown = Metrics(rt.host, []).render().decode()
    names = re.findall(r"^# HELP (\w+)", shown, re.MULTILINE)

    assert names
    assert [name for name in names if f"`{name.removesuffix('_total')}`" not in text] == []


def commands(group: Group, prefix: str = "wakeful") -> Iterator[str]:
    context = Context(group)
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        if isinstance(inner, Group):
            yield from commands(inner, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def test_every_command_is_documented() -> None:
    text = (DOCS / "operating.md").read_text()
    found = list(commands(command))

    assert found
    assert [name for name in found if f"| `{name}" not in text] == []
