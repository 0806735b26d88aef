"""Joins ES modules to one script: a page that opens from a disk cannot import files.

Each module becomes a function that is called once, in an order in which what it imports is there
already, so that no name of one is seen in another. It knows the statements that the dashboard's
own modules consist of, and refuses all others.
"""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.server.static_files import COMMENT

_IMPORT = re.compile(r'^import (?:\{([^{}]*)\} from )?"(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async function|function|class|const) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:import|export)\b.*|\bimport\s*\(.*", re.MULTILINE)


class BundleError(ValueError):
    """A module has a statement, or is imported in a circle, that cannot be joined."""


def bundled(entry: Path) -> str:
    """The text of one script that does what a module does, with all that it imports.

    Args:
        entry: the module that is run.

    Raises:
        BundleError: if modules import each other in a circle, or in a way that is not known.
    """
    names: dict[Path, str] = {}
    parts: list[str] = []

    def add(path: Path, above: tuple[Path, ...]) -> str:
        if path in above:
            raise BundleError(f"{path.name} imports itself by way of {above[-1].name}")
        if path not in names:
            text = COMMENT.sub(b"", path.read_bytes()).decode()
            heads = [
                f"const {{{names_of(match[1])}}} = "
                f"{add((path.parent / match[2]).resolve(), (*above, path))};"
                for match in _IMPORT.finditer(text)
            ]
            body, exported = _IMPORT.sub("", text), [match[2] for match in _EXPORT.finditer(text)]
            body = _EXPORT.sub(r"\1", body)
            if other := _OTHER.search(body):
                raise BundleError(f"{path.name}: cannot join {other[0].strip()!r}")
            names[path] = f"module{len(names)}"
            parts.append(
                "\n".join(
                    (
                        f"const {names[path]} = (() => {{ // {path.name}",
                        *heads,
                        f"{body}return {{ {', '.join(exported)} }};",
                        "})();\n",
                    )
                )
            )
        return names[path]

    add(entry.resolve(), ())
    return "".join(parts)


def names_of(imports: str | None) -> str:
    """What an import names, as the pattern of an object has it: `a as b` is `a: b`."""
    return ", ".join(
        name.strip().replace(" as ", ": ") for name in (imports or "").split(",") if name.strip()
    )
