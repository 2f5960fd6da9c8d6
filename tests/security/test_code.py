"""What the packages never do with what comes from outside. Ruff's rules S say most of it; here it has no exceptions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for package in ("dispatcher", "workers", "scheduler") for path in (ROOT / package).rglob("*.py"))
MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "telnetlib", "xmlrpc"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("yaml", "load_all"), ("os", "system"),
    ("os", "popen"), ("tempfile", "mktemp"), ("ssl", "_create_unverified_context"), ("subprocess", "getoutput"),
}  # fmt: skip
# Bytes are read where their bounds are.
READERS = {"dispatcher/unpacking.py", "dispatcher/intake/reading.py"}


def faults(source: str, name: str) -> list[str]:
    return [f"{name}:{node.lineno}: {what}" for node, what in _found(ast.parse(source), name)]


def _found(tree: ast.AST, name: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for module in {found.partition(".")[0] for found in names} & MODULES:
                yield node, f"imports {module}"
        if isinstance(node, ast.Call):
            if what := _called(node, name):
                yield node, what
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if (keyword.arg, value) in {("shell", True), ("verify", False), ("ssl_cert_reqs", "none")}:
                    yield node, f"{keyword.arg}={value}"


def _called(node: ast.Call, name: str) -> str:
    function = node.func
    if isinstance(function, ast.Name):
        return f"calls {function.id}" if function.id in CALLS else ""
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return ""
    pair = (function.value.id, function.attr)
    if pair in METHODS or (pair[0] == "msgpack" and pair[1].lower().startswith("unpack") and name not in READERS):
        return ".".join(pair)
    return ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_evaluates_or_starts_a_shell(path: Path):
    assert faults(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from marshal import loads", "import shelve as s", "eval('1')", "exec('x')",
        "compile('', '', 'exec')",
        "yaml.load(text)", "os.system('x')", "subprocess.run('x', shell=True)", "requests.get(u, verify=False)",
        "msgpack.unpackb(data)", "msgpack.Unpacker()", "Redis(ssl_cert_reqs='none')",
    ],
)  # fmt: skip
def test_it_would_be_found(source: str):
    assert faults(source, "workers/new.py")
