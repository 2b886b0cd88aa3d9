"""Files that workerd wrote: see workerd_sample/make.sh."""

import tarfile
from pathlib import Path
from typing import Final

SAMPLE: Final = Path(__file__).parent / "workerd_sample" / "state.tar.gz"
ALL: Final = "d5c0740a83b4b141c1c45ef516b78cea556601a5e7771c3b945078ce7a959645"
ODD: Final = "fe8177da0f4ff3ad8fc49ad4d5c1fcb97812f51f948881744bbec575ab259e5a"
ONE: Final = "f7fe1cf415ddfa644f3dce04327d3f068b256ad378065dac0531b74664dc9446"
TWO: Final = "6a586360ed222847c1d3cb520bb23a2ed46de5e743d5baddaad15de437732e8c"


def unpacked(directory: Path) -> Path:
    """The sample's state directory."""
    state = directory / "state"
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(state, filter="data")
    return state


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
