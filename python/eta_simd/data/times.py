# SPDX-License-Identifier: Apache-2.0
"""Which times of behaviours can be right: from 1995, when the oldest data set begins, to now.

A time outside is a wrong unit, a wrong column or a damaged file, and none of these may pass as a
history. Milliseconds taken for seconds lie tens of thousands of years ahead, seconds taken for
milliseconds in January 1970.
"""
import time

FIRST = 788918400  # 1995-01-01 in seconds since 1970; MovieLens begins 8 days later
UNITS = {1: "seconds", 1000: "milliseconds"}


def span(per_second=1):
    """The first and the last time that can be right; the clocks of two machines may differ by a
    day."""
    return FIRST * per_second, (int(time.time()) + 86400) * per_second


def are_right(times, per_second=1):
    """Which of the times, an array or a number, can be right."""
    first, last = span(per_second)
    return (times >= first) & (times <= last)


def fault(name, value, per_second=1):
    """What is wrong with a time that is not right, as a message."""
    first, _ = span(per_second)
    other = 1001 - per_second
    looks = f"; it looks like {UNITS[other]}" if are_right(value, other) else ""
    return (f"{name} {value} is {'before 1995' if value < first else 'after now'} (expected "
            f"{UNITS[per_second]} since 1970{looks})")
