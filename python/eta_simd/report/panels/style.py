# SPDX-License-Identifier: Apache-2.0
"""How the pictures of a report look, and what they are made of."""
import dataclasses

from matplotlib import ticker
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Each stands for a variable of the page's style sheet, so that a dark page can have others.
INK, GRID, PAPER = "#1c2128", "#d1d6dc", "#fefefe"
FAINT = 0.45  # opacity of lines of INK that lie behind the points
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#b8508f", "#8a6d00", "#3f8fc9", "#6b7280", INK]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 2)), (0, (3, 1))]
SIZE = (4.6, 3.9)  # inches; a telephone shows it at four fifths

STYLE = {
    "font.size": 9, "font.family": "sans-serif", "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True,
    "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8,
    "svg.fonttype": "none", "svg.hashsalt": "eta-simd", "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.6, "lines.markersize": 6,
}


class NoData(Exception):
    """Raised by a panel that the results have no data for; names the panel and what it needs."""


@dataclasses.dataclass
class Panel:
    """A picture, with the text around it."""
    name: str  # of the files
    title: str
    caption: str
    figure: Figure
    is_dense: bool = False  # needs the whole width of a printed page


def new_figure(height=SIZE[1]):
    """Figure and axes, `height` inches high."""
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def look(index):
    """Colour, marker and dashes of a line; markers and dashes tell lines apart without colour."""
    i = index % len(COLOURS)
    return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": DASHES[i]}


def legend_below(figure, axes, columns=3):
    """Puts the legend below the axes, which make room for it."""
    handles, labels = axes.get_legend_handles_labels()
    columns = min(columns, len(labels))
    figure.legend(handles, labels, loc="lower center", ncols=columns, handlelength=2.8,
                  columnspacing=1.2)
    room = (0.1 + 0.19 * -(-len(labels) // columns)) / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))


def plain_ticks(axis, values=None):
    """Numbers instead of powers of ten; means of a hundred and more without decimals."""
    axis.set_major_formatter(
        ticker.FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 100 else f"{v:,.10g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
    if values is not None:
        axis.set_ticks(values)


def log_ticks(axis, low, high):
    """A logarithmic scale with two or three numbers per power of ten."""
    steps = (1, 2, 5) if high / low < 30 else (1, 3) if high / low < 1000 else (1,)
    axis.set_major_locator(ticker.LogLocator(base=10, subs=steps, numticks=20))
    plain_ticks(axis)


def value_ticks(axis, values):
    """A logarithmic scale with ticks at `values`, rising, where there is room for the numbers."""
    shown: list[float] = []
    room = (values[-1] / values[0]) ** 0.15
    for value in values:
        if not shown or value >= room * shown[-1]:
            shown.append(value)
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    plain_ticks(axis, shown)
    axis.set_minor_locator(ticker.NullLocator())
