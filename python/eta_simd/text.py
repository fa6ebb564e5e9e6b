# SPDX-License-Identifier: Apache-2.0
"""Makes text from files and arguments fit to be printed: one line, short, and nothing that a
terminal obeys."""
from typing import TextIO, cast

SHOWN = 80  # characters of a quoted text


def printable(text, kept=""):
    """`text` with an escape such as \\x1b for each character that is neither printable nor in
    `kept`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else
                   c.encode("unicode_escape").decode("ascii") for c in text)


def shown(value, limit=SHOWN):
    """`value` as printable text of at most `limit` characters, "..." included where it is cut."""
    text = str(value)
    is_cut = len(text) > limit
    text = printable(text[:limit])
    return text if len(text) <= limit and not is_cut else text[:limit - 3] + "..."


def reason(error):
    """What an exception says, as `shown` text."""
    if isinstance(error, KeyError):
        return f"there is no '{shown(error.args[0])}' in it"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown(error) or type(error).__name__


def printable_stream(stream: TextIO) -> TextIO:
    """`stream`, which from now on writes control characters as escapes. Line ends and tabs stay."""
    return cast(TextIO, PrintableStream(stream))


class PrintableStream:
    """What printable_stream returns: all of the stream but write() is its own."""

    def __init__(self, stream):
        self.stream = stream
        if hasattr(stream, "reconfigure"):  # for an encoding that lacks a character
            stream.reconfigure(errors="backslashreplace")

    def write(self, text):
        """Returns the number of characters of `text`, as streams do."""
        self.stream.write(printable(text, kept="\n\t"))
        return len(text)

    def __getattr__(self, name):
        return getattr(self.stream, name)
