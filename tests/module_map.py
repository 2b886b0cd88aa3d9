"""The tables of MODULES.md: `make map` writes each row from its module's docstring.

Shapes:  below a heading `## wakeful.store` there are rows for modules of that package; a package
         may have several such headings. Their order is kept; a module without a row gets one at the
         end of its package's last table.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "MODULES.md"
HEADING: Final = re.compile(r"## (wakeful[\w.]*)")
ROW: Final = re.compile(r"\| `(\w+)` \|")
RULE: Final = "|---|---|"


def summaries(source: Path) -> dict[str, str]:
    """The first line of each module's docstring, by the module's name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        if path.stem not in ("__init__", "__main__"):
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            name = path.relative_to(source.parent).with_suffix("")
            found[".".join(name.parts)] = text.partition("\n")[0].rstrip(".").replace("|", "\\|")
    return found


def written(text: str, modules: Mapping[str, str]) -> str:
    """The document with a row for every module, and for nothing else.

    Raises:
        ValueError: a package has no table.
    """
    lines: list[str] = []
    ends: dict[str, int] = {}  # where the last table of a package ends
    left, package = dict(modules), ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = HEADING.match(line)
            package = heading[1] if heading else ""
        row = ROW.match(line) if package else None
        if row is not None:
            name = f"{package}.{row[1]}"
            if name not in left:
                continue
            line = _row(name, left.pop(name))
        lines.append(line)
        if package and (row is not None or line == RULE):
            ends[package] = len(lines)
    for name in reversed(sorted(left, key=lambda one: (ends.get(one.rpartition(".")[0], 0), one))):
        package = name.rpartition(".")[0]
        if package not in ends:
            raise ValueError(f"MODULES.md has no table below a heading ## {package}")
        lines.insert(ends[package], _row(name, left[name]))
    return "\n".join(lines) + "\n"


def _row(name: str, summary: str) -> str:
    return f"| `{name.rpartition('.')[2]}` | {summary} |"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(), summaries(ROOT / "src" / "wakeful")))
