"""Writes C++ classes that implement TensorRT's interfaces by ending the program; fakes override what is used.

Usage: make_stubs.py OUTPUT HEADER,NAMESPACE,CLASS...

TensorRT's interfaces have hundreds of pure functions that differ by version; read from the very headers, the
fakes have the layout that the program under test was compiled for.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def class_body(text: str, name: str) -> str:
    """What stands between the braces of a class."""
    found = re.search(rf"\bclass\s+{name}\s*(?::[^{{;]*)?\{{", text)
    if found is None:
        raise SystemExit(f"no class {name}")
    depth, at = 1, found.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return text[found.end() : at - 1]


def stub(text: str, namespace: str, name: str) -> str:
    """A class Stub<name> that overrides every pure function."""
    lines = []
    for signature in re.findall(r"\bvirtual\s+([^;{}]*?)\s*=\s*0\s*;", class_body(text, name)):
        if "~" in signature:
            continue
        function = re.search(r"([A-Za-z_0-9]+)\s*\(", signature)
        flat = " ".join(signature.split())
        lines.append(
            f'  {flat} override {{ fake::unexpected("{name}::{function[1] if function else "?"}"); }}'
        )
    body = "\n".join(lines)
    return f"namespace {namespace} {{\nclass Stub{name} : public {name} {{\n public:\n{body}\n}};\n}}\n"


def main(output: str, *wanted: str) -> None:
    """Write all wanted stubs into one header."""
    parts = ['#pragma GCC diagnostic ignored "-Wunused-parameter"']
    parts.append('#pragma GCC diagnostic ignored "-Wdeprecated-declarations"')
    declaration = '[[noreturn]] __attribute__((visibility("default"))) void unexpected(const char*);'
    parts.append(f"namespace fake {{\n{declaration}\n}}")
    for word in wanted:
        header, namespace, name = word.split(",")
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", Path(header).read_text(encoding="utf-8"), flags=re.DOTALL)
        parts.append(stub(text, namespace, name))
    Path(output).write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
