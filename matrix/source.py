"""What a statement of the matrix rests on: who ran, read or reported it, and for which release, GPU and form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Because:
    """One step of a proof chain: a fact, and where somebody can look it up."""

    says: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was run, read or reported, and for which release, GPU and form: a source about another one proves nothing.

    `run`: somebody of this project ran it. `wheel`: read in the release's own files, not run. `report`: somebody else
    says so, not run here. `choice`: this project's own rule of what to ask; it says nothing of an engine.
    """

    kind: Literal["run", "wheel", "report", "choice"]
    where: str = ""  # file:line, page or evidence; what is cited
    release: str = ""  # name==version of the engine or library (PEP 440); only a choice has none
    gpu: str = ""  # as the source states it, e.g. "8x H200"
    sm: tuple[int, ...] = ()  # compute capabilities that it speaks of: seen there, or the code path read; 0: the CPU
    form: str = ""  # weight format first, e.g. "nvfp4, fp8 KV"
    url: str = ""  # where it stands, when that is not the entry's issue
    expected: str = ""  # why it is believed where nobody saw it, e.g. of another GPU of the same family
    undecided: str = ""  # of a report with a range of releases: why no fact of a wheel decides where it begins and ends

    def cite(self) -> str:
        """Where it stands, then what it is worth: `models/x.py:12 (read in sglang==0.5.17 for sm120, not run)`."""
        how = {"run": "run", "wheel": "read", "report": "reported", "choice": "this project's choice"}[self.kind]
        of = f" {'in' if self.kind == 'wheel' else 'with'} {self.release}" if self.release else ""
        sms = " and ".join(f"sm{n}" if n else "a CPU" for n in self.sm)
        on = f" {'for' if self.kind == 'wheel' else 'on'} {self.gpu or sms}" if self.gpu or sms else ""
        unseen = ", not run here" if self.kind in ("wheel", "report") else ""
        why = f"; expected: {self.expected}" if self.expected else ""
        return f"{self.where or self.url} ({how}{of}{on}{unseen}{why})".strip()
