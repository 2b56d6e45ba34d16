"""What scripts say of a container's state, in docker's words, their own, or a sentence. Pure."""

from __future__ import annotations

import re

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
"""Docker's words for the state of a container."""
OTHER_WORDS = {"stopped": ("exited", "created", "dead")}
"""What scripts may say instead, of each of these states."""
_SAID = re.compile(rf"(?<!not )(?<!n't )\b({'|'.join((*STATES, *OTHER_WORDS))})\b")


def in_dockers_words(said: str, truth: str) -> str:
    """Return docker's word for a state that a script tells; `absent` for a word of neither's.

    Where the script's word may mean several, that is the true one, if it is among them.
    """
    if said in STATES:
        return said
    meant = OTHER_WORDS.get(said, ("absent",))
    return truth if truth in meant else meant[0]


def told(text: str, status: int) -> str | None:
    """Return the first state that a text for people names; None where it names none.

    That a container runs counts as told where the call ends well: of one that fails it may be
    advice. That it was created says little beside another word: it tells when.
    """
    words = [word for word in _SAID.findall(text.lower()) if word != "running" or status == 0]
    telling = [word for word in words if word != "created"] or words
    return telling[0] if telling else None
