"""The directories of these tests are in memory, where the system has room for them there.

What a sync does to a real disk is for the tests that kill processes; here a disk of the test's own
fails, fills up or loses what was not synced, and waiting for the machine's would only take time.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

MEMORY = Path("/dev/shm")
BYTES_MIN = 1 << 30  # containers often have 64 MiB


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < BYTES_MIN:
        yield tmp_path
        return
    with TemporaryDirectory(prefix="wakeful-", dir=MEMORY) as directory:
        yield Path(directory)
