"""docs/limits.md says the numbers that are in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeful import DurabilityConfig, Limits
from wakeful.core import hibernation
from wakeful.http.settings import HttpSettings
from wakeful.sql.fence import STRICT
from wakeful.workers import calls, strict
from wakeful.workers.bindings import (
    bindings,
    d1_store,
    r2_digests,
    r2_multipart,
    r2_options,
    r2_uploads,
)
from wakeful.workers.objects import cells, object_state

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
TIB, GIB, MIB = 1024**4, 1024**3, 1024**2


@pytest.mark.parametrize(
    ("row", "column", "shown"),
    [
        ("keys in one", "strict", f"{strict.KEYS_MAX}"),
        ("a key, of", "strict", f"{strict.KEY_BYTES_MAX:,} bytes"),
        (
            "a value, of",
            "strict",
            f"{strict.VALUE_BYTES_MAX:,} bytes, and {strict.VALUE_BYTES_SPARE} for V8's marks",
        ),
        ("key and value", "local", f"{cells.VALUE_BYTES_MAX // MIB} MiB"),
        ("subrequests", "strict", f"{strict.SUBREQUESTS_MAX:,}, or "),
        ("arguments", "strict", f"{strict.MESSAGE_BYTES_MAX // MIB} MiB"),
        ("time of an alarm", "strict", f"{strict.ALARM_SECONDS_MAX / 60:.0f} minutes"),
        ("time of `ctx.waitUntil`", "strict", f"{strict.WAIT_UNTIL_SECONDS_MAX:.0f} s"),
        ("`ctx.waitUntil`", "local", f"{Limits().background:,}, "),
        ("URL of", "strict", f"{strict.URL_BYTES_MAX:,} bytes"),
        ("variables and", "strict", f"{strict.VARIABLES_MAX}"),
        ("a variable", "strict", f"{strict.VARIABLE_BYTES_MAX:,} bytes"),
        ("a text of SQL", "local", f"{STRICT.sql_bytes:,} bytes"),
        ("columns of", "local", f"{STRICT.columns}; {STRICT.variables}"),
        ("SELECTs in", "local", f"{STRICT.compound}; {STRICT.like_bytes} bytes"),
        ("SQL database", "local", f"{DurabilityConfig().sql_bytes_max // GIB} GiB"),
        ("all keys and", "local", f"{DurabilityConfig().state_bytes_max // MIB} MiB"),
        ("time of `block", "local", f"{object_state.BLOCK_SECONDS_MAX:.0f} s"),
        ("`blockConcurrencyWhile`", "local", f"{object_state.NESTED_MAX}"),
        ("events waiting", "local", f"{Limits().mailbox:,}, "),
        ("WebSockets of", "local", f"{Limits().sockets_per_actor:,}, "),
        ("a message on", "local", f"{Limits().socket_message_bytes // MIB} MiB, "),
        ("tags of", "local", f"{hibernation.TAGS_MAX}; {hibernation.TAG_CHARS_MAX} characters"),
        ("attachment of", "local", f"{hibernation.ATTACHMENT_BYTES_MAX:,} bytes"),
        ("texts of", "local", f"{hibernation.AUTO_BYTES_MAX:,} bytes"),
        ("reason of", "local", f"{hibernation.REASON_BYTES_MAX} bytes"),
        ("body of", "local", f"{Limits().stream_bytes // MIB} MiB, "),
        ("bodies that", "local", f"{HttpSettings().body_bytes // MIB} MiB, "),
        ("rows of a D1", "local", f"about {d1_store.ROWS_BYTES_MAX // MIB} MiB"),
        (
            "a key of R2",
            "local",
            f"{r2_options.KEY_BYTES_MAX:,} bytes; {r2_options.METADATA_BYTES_MAX:,} bytes",
        ),
        (
            "an object put into R2",
            "local",
            f"{r2_digests.OBJECT_BYTES_MAX / GIB:.3f} GiB; {bindings.BUCKET_BYTES_MAX // TIB} TiB",
        ),
        (
            "keys of one `delete` of R2",
            "local",
            f"{r2_options.KEYS_MAX:,}; {r2_options.LISTED_MAX:,}",
        ),
        (
            "parts of an upload to R2",
            "local",
            f"{r2_multipart.PARTS_MAX:,}; of one size, {r2_uploads.PART_BYTES_MIN // MIB} MiB",
        ),
        ("calls that lead", "local", f"{calls.DEPTH_MAX}"),
    ],
)
def test_number(row: str, column: str, shown: str) -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {row}")]
    assert len(lines) == 1
    cells = [cell.strip() for cell in lines[0].strip("|").split(" | ")]
    assert cells[{"local": 1, "strict": 2}[column]].startswith(shown)


def test_every_row_is_checked() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == len(test_number.pytestmark[0].args[1])  # type: ignore[attr-defined]
