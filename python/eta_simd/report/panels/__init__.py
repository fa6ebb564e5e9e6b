# SPDX-License-Identifier: Apache-2.0
"""The pictures of a report. Each is a function of the Results that returns a Panel or a list of
them, or raises NoData."""
from collections.abc import Callable
from functools import partial

import matplotlib

from eta_simd.report.panels import front, lines, load, machine, winners
from eta_simd.report.panels.style import STYLE, NoData

ALL: tuple[Callable, ...] = (
    front.recall_latency, front.recall_histogram, lines.recall_bits,
    partial(lines.recall_along, lines.WIDTHS), partial(lines.latency_along, lines.WIDTHS),
    lines.oversampling,
    partial(lines.recall_along, lines.LENGTH), partial(lines.recall_along, lines.CANDIDATES),
    partial(lines.latency_along, lines.LENGTH), partial(lines.latency_along, lines.CANDIDATES),
    load.latency_by_rate, load.rate_within_limit, winners.winners, machine.limits, machine.threads)


def draw(results):
    """All panels that the results have data for, and a list of texts about the others."""
    matplotlib.rcParams.update(STYLE)
    drawn, missing = [], []
    for make in ALL:
        try:
            panel = make(results)
        except NoData as reason:
            missing.append(str(reason))
        else:
            drawn += panel if isinstance(panel, list) else [panel]
    return drawn, missing
