"""`env`: what a Worker's configuration binds to names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from wakeful.workers.bindings.missing import MissingBinding
from wakeful.workers.config.wrangler import WranglerConfig
from wakeful.workers.proxies import JsDict

NO_DICT: Final = '. It is no dict: write getattr(env, "NAME", None)'


class Env:
    """Variables, secrets and namespaces, by attribute."""

    def __init__(self, bindings: Mapping[str, object]) -> None:
        vars(self).update(bindings)

    @contextmanager
    def patched(self, changes: Mapping[str, object]) -> Iterator[None]:
        """Replace the values of some names during a test."""
        before = dict(vars(self))
        vars(self).update(changes)
        try:
            yield
        finally:
            vars(self).clear()
            vars(self).update(before)

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(sorted(vars(self))) or "nothing"
        hint = NO_DICT if name in ("get", "items", "keys", "values") else ""
        raise AttributeError(
            f"env has no {name!r}: the configuration of the Worker binds {there}{hint}",
            name=name,
            obj=self,
        )

    def __repr__(self) -> str:
        return f"Env({', '.join(sorted(vars(self)))})"


def make_env(config: WranglerConfig, namespaces: Mapping[str, object]) -> Env:
    """The `env` of a Worker.

    Args:
        config: its variables and secrets; a secret counts before a variable of its name.
        namespaces: what each Durable Object binding stands for, by its name.
    """
    variables = {name: member(value) for name, value in config.vars.items()}
    missing = {m.name: MissingBinding(m) for m in config.missing if m.is_bound}
    return Env({**variables, **config.secrets, **missing, **namespaces})


def member(value: Any) -> Any:
    """Convert a value of a configuration to what code gets."""
    if isinstance(value, dict):
        return JsDict({key: member(item) for key, item in value.items()})
    return [member(item) for item in value] if isinstance(value, list) else value
