"""Run the Python examples of the documentation, page by page, each page against a server of its own.

The blocks of one page are one program, in order. A block after `<!-- not run: reason -->` must only compile.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from dispatcher.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?P<skip><!-- not run: [^>]+ -->\n+)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 60


def pages() -> list[Path]:
    """Return every page that may hold examples."""
    return sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("[!.]*/README.md")} & set(existing()))


def existing() -> list[Path]:
    """Return the Markdown files of the repository, environments left out."""
    return [page for page in ROOT.rglob("*.md") if not {".venv", ".bench"} & set(page.parts)]


def program(page: Path) -> str:
    """Return the blocks of a page that run, at their own line numbers; SyntaxError if one does not compile."""
    text = page.read_text()
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("code"))
        compile("\n" * first + block["code"], str(page), "exec", flags=0x2000)  # top-level await is allowed
        if not block["skip"]:
            code = block["code"].splitlines()
            lines[first : first + len(code)] = code
    return "\n".join(lines)


def run(page: Path, code: str) -> bool:
    """Run one page's program in an empty folder; show what it said when it fails."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServerOf() as url:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=folder,
            env={**os.environ, "SLUICE_REDIS_URL": url},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode:
        print(f"{page.relative_to(ROOT)} failed:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


class EmbeddedServerOf:
    """A server for one page; gives its address."""

    def __enter__(self) -> str:
        """Start it."""
        self.server = EmbeddedServer().start()
        return self.server.url

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.server.stop()


def main() -> int:
    """Run all pages; 1 if one fails."""
    programs = {page: program(page) for page in pages()}
    to_run = {page: code for page, code in programs.items() if code.strip()}
    good = [page for page, code in to_run.items() if run(page, code)]
    print(f"{len(good)} of {len(to_run)} pages with examples run")
    return 0 if len(good) == len(to_run) else 1


if __name__ == "__main__":
    sys.exit(main())
