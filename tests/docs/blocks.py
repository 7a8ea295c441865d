"""Fenced code blocks of Markdown pages, and how the tests run them.

A comment before a block or page tells the tests something that readers need not see:
`<!-- test: model NAME -->` puts a trained model into `runs/NAME` before the page runs, and
`<!-- test: skip, REASON -->` leaves out the next block.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^`\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S)
DIRECTIVE = re.compile(r"<!-- test: (?P<word>\w+),? (?P<rest>.*?) -->")
TITLE = re.compile(r'title="([^"]+)"')

LANGUAGES = {"bash", "python", "yaml", "text"}
"""`bash` and `python` run, `yaml` with a title is written to that file, `text` is only shown."""

TINY = (
    "model.channels=2 model.max_L=0 model.max_ell=1 model.correlation=1 model.radial_MLP=[4] "
    "training.max_epochs=1 training.batch='{structures: 10}' data.max_train=20 data.split.valid=4"
)
SMALLER = {"train": TINY, "relax": "--steps 3", "evaluate": "--no-audit"}
"""What is added to a subcommand so that a page runs in seconds."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, code, first line in the page, title, and why it is skipped."""

    language: str
    code: str
    line: int
    title: str | None = None
    skip: str | None = None


@dataclass
class Page:
    """The blocks of a page in order, and the models it needs before the first."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return any(block.language in {"bash", "python"} for block in self.blocks)


def read_page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    page = Page(path)
    end = 0
    for fence in FENCE.finditer(text):
        directives = list(DIRECTIVE.finditer(text, end, fence.start()))
        skip = next((d["rest"] for d in directives if d["word"] == "skip"), None)
        title = TITLE.search(fence["rest"])
        line = text.count("\n", 0, fence.start()) + 2
        page.blocks.append(Block(fence["language"], fence["code"], line, title and title[1], skip))
        end = fence.end()
    page.models = [d["rest"] for d in DIRECTIVE.finditer(text) if d["word"] == "model"]
    return page


def smaller(script: str) -> str:
    """The script with every long subcommand made short; a relaxation may stop before it has converged."""
    lines = []
    for line in script.splitlines():
        words = shlex.split(line, comments=True)
        command = words[1] if len(words) > 1 and words[0] == "eqcli" else ""
        if command in SMALLER:
            line = f"{line} {SMALLER[command]}"
        lines.append(f"{line} || [ $? -eq 4 ]" if command == "relax" else line)
    return "\n".join(lines)
