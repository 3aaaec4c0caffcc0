"""How the story is told while it happens: steps, what must hold in each, and waiting for what should come."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

LOOK_EVERY = 0.25
"""Seconds between two looks at something that should happen."""

Found = TypeVar("Found")


class NotInTime(Exception):
    """Something that should have happened did not; the story cannot go on."""


class Tone(StrEnum):
    """What kind of line the story says."""

    SAID = "said"
    HELD = "held"
    BROKEN = "broken"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story; `url` is where to look at it."""

    tone: Tone
    text: str
    url: str = ""


@dataclass(slots=True)
class Step:
    """A step of the story, and what did not hold in it."""

    name: str
    told: str = ""
    lines: list["Line"] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    is_over: bool = False

    def as_json(self) -> dict[str, Any]:
        told = {"name": self.name, "held": not self.broken, "seconds": round(self.seconds, 1)}
        return told | ({"broken": self.broken} if self.broken else {})


class Story:
    """Tells steps on a console and remembers what held."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[Step] = []
        self.is_over = False
        self._began = time.monotonic()

    @property
    def held(self) -> bool:
        """Whether everything held so far, in at least one step."""
        return bool(self.steps) and not any(step.broken for step in self.steps)

    @contextmanager
    def step(self, name: str, told: str) -> Iterator[None]:
        """One step; what goes wrong in it is noted, and what makes going on senseless is raised again."""
        step = Step(name, told)
        self.steps.append(step)
        began = time.monotonic()
        self.console.print(f"\n[dim]{self._clock()}[/]  [bold]{escape(told)}[/]")
        try:
            yield
        except Exception as error:
            self._broken(step, str(error) or type(error).__name__)
            raise
        finally:
            step.seconds = time.monotonic() - began
            step.is_over = True

    def say(self, line: str) -> None:
        """Something that happened."""
        self.console.print(f"         {escape(line)}")
        self.steps[-1].lines.append(Line(Tone.SAID, line))

    def show(self, what: str, url: str) -> None:
        """A page on which this can be seen."""
        self.console.print(f"         [dim]{escape(what)}: {escape(url)}[/]")
        self.steps[-1].lines.append(Line(Tone.LOOK, what, url))

    def must(self, holds: object, claim: str, detail: object = "") -> None:
        """A claim that must hold; if it does not, the story goes on and ends badly."""
        if holds:
            self.console.print(f"         [green]✔[/] {escape(claim)}")
            self.steps[-1].lines.append(Line(Tone.HELD, claim))
            return
        self._broken(self.steps[-1], f"{claim}: {detail}" if detail != "" else claim)

    def wait_for(
        self, what: str, look: Callable[[], Found], *, within: float, progress: Callable[[], str] = lambda: ""
    ) -> Found:
        """What `look` finds, once it is true; raises `NotInTime` after so many seconds."""
        deadline = time.monotonic() + within
        with self.console.status(escape(what)) as status:
            while not (found := look()):
                if time.monotonic() > deadline:
                    raise NotInTime(f"{what}: not within {within:.0f} s {progress()}".strip())
                status.update(escape(f"{what} {progress()}"))
                time.sleep(LOOK_EVERY)
        return found

    def _broken(self, step: Step, what: str) -> None:
        step.broken.append(what)
        step.lines.append(Line(Tone.BROKEN, what))
        self.console.print(f"         [red]✘ {escape(what)}[/]")

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:2}:{seconds:02}"
