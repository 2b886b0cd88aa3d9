"""DurabilityFacet: the actor's declared state and storage survive, and answers wait for them."""

from __future__ import annotations

import math

import msgspec

from wakeful.core.alarms import RETRIES_MAX, retries_within
from wakeful.errors import ConfigError
from wakeful.facet import Facet, Persistence, TypePlan


class DurabilityConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a durable actor.

    Attributes:
        confirm: answers wait until what they may reveal is durable. Turning it off gives up
            promise G2: a crash may take back what a caller was told.
        state_bytes_max: all that one actor keeps, keys included; over it the turn is undone.
        sql_bytes_max: the actor's SQL database (10 GiB, as on Cloudflare); over it the turn is
            undone.
        sql_strict: hold SQL statements to Cloudflare's limits (100 columns, 100 parameters,
            100,000 bytes of text, ...) instead of generous ones, and to its rules: a text ends
            with a statement, not with a comment or a second semicolon.
        alarm_retries: how often an alarm whose handler fails is tried again (0 to 255) before it
            is given up; None: as often as `alarm_retry_seconds` allows.
        alarm_retry_seconds: for how long an alarm whose handler fails is tried again, counted from
            its first failure, by a backoff that doubles from 2 s to 1,024 s.
    """

    confirm: bool = True
    state_bytes_max: int = 64 * 1024 * 1024
    sql_bytes_max: int = 10 * 1024**3
    sql_strict: bool = False
    alarm_retries: int | None = None
    alarm_retry_seconds: float = 86_400.0

    def __post_init__(self) -> None:
        for name in ("confirm", "sql_strict"):
            flag: object = getattr(self, name)
            if not isinstance(flag, bool):
                raise ConfigError(f"DurabilityConfig.{name} is True or False: {flag!r}")
        for name in ("state_bytes_max", "sql_bytes_max"):
            limit: object = getattr(self, name)
            if not isinstance(limit, int) or limit <= 0:
                raise ConfigError(f"DurabilityConfig.{name} is bytes, more than 0: {limit!r}")
        self._check_retries()

    def retries(self) -> int:
        """How often an alarm is tried again before it is given up, by both settings."""
        within = retries_within(round(self.alarm_retry_seconds * 1e9))
        return within if self.alarm_retries is None else min(within, self.alarm_retries)

    def _check_retries(self) -> None:
        retries, seconds = self.alarm_retries, self.alarm_retry_seconds
        if retries is not None and (type(retries) is not int or not 0 <= retries <= RETRIES_MAX):
            raise ConfigError(
                f"DurabilityConfig.alarm_retries is 0 to {RETRIES_MAX}, or None: {retries!r}"
            )
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise ConfigError(
                f"DurabilityConfig.alarm_retry_seconds is a number of seconds: {seconds!r}"
            )


class DurabilityFacet(Facet):
    """Makes a type's state durable; without it state lives and dies with the activation."""

    priority = 20

    def __init__(self, config: DurabilityConfig | None = None) -> None:
        self.config = config or DurabilityConfig()
        given: object = self.config
        if not isinstance(given, DurabilityConfig):
            raise ConfigError(f"DurabilityFacet takes a DurabilityConfig, not {given!r}")

    def plan(self, plan: TypePlan) -> None:
        """Keep declared state and storage."""
        plan.persistence = Persistence(
            confirm=self.config.confirm,
            state_bytes_max=self.config.state_bytes_max,
            sql_bytes_max=self.config.sql_bytes_max,
            sql_strict=self.config.sql_strict,
            alarm_retries=self.config.retries(),
        )
