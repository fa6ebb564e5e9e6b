# SPDX-License-Identifier: Apache-2.0
"""Writes a report: one HTML file that needs no other, and each picture by itself."""
import html
import io
import re

from eta_simd.files import write_files
from eta_simd.report import memory, words
from eta_simd.report.panels import style
from eta_simd.report.selection import main_group

# The colours of panels/style.py on a dark page.
DARK = {style.INK: "#e6e9ed", style.GRID: "#444c56", style.PAPER: "#15181c",
        "#0072b2": "#58a6e8", "#d55e00": "#ff8a3d", "#009e73": "#2fc79a", "#b8508f": "#e58cc2",
        "#8a6d00": "#d9b23c", "#3f8fc9": "#8cc8f5", "#6b7280": "#a3abb5"}

STYLE = """
:root { color-scheme: light dark; %(light)s }
@media (prefers-color-scheme: dark) { :root { %(dark)s } }
@media print { :root { color-scheme: light; %(light)s } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 1.5rem 1rem 3rem; color: var(%(ink)s);
  background: var(%(paper)s);
  font: 16px/1.5 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { font-size: 1.05rem; margin: 0 0 .25rem; }
p { margin: 0 0 .75rem; max-width: 75ch; overflow-wrap: break-word; }
main { display: grid; gap: 1.75rem 2rem; margin-top: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%%, 440px), 1fr)); }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure svg { display: block; width: 100%%; height: auto; max-width: 560px; }
figcaption { font-size: .85rem; opacity: .85; }
.notes { font-size: .85rem; opacity: .85; margin-top: 2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .75rem .2rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(%(grid)s); }
th:first-child, td:first-child { text-align: left; }
.printed { display: none; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; background: none; }
  body, table { line-height: 1.3; } main { margin-top: 1rem; }
  main { grid-template-columns: 1fr 1fr; grid-auto-flow: dense; gap: 1.25rem 1.5rem; }
  .dense { grid-column: 1 / -1; }
  tr, .notes p { break-inside: avoid; } .printed { display: block; } details { display: none; } }
"""


def variable(colour):
    """The CSS variable of a colour."""
    return f"--c{colour[1:]}"


def style_sheet():
    """The style sheet, with every colour of the pictures as a variable, light and dark."""
    light = " ".join(f"{variable(c)}: {c};" for c in DARK)
    dark = " ".join(f"{variable(c)}: {d};" for c, d in DARK.items())
    return STYLE % {"light": light, "dark": dark, "ink": variable(style.INK),
                    "paper": variable(style.PAPER), "grid": variable(style.GRID)}


def svg_of(panel):
    """The SVG of a panel, the same bytes for the same figure."""
    text = io.StringIO()
    panel.figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def inline(svg, panel):
    """The SVG as part of a page: colours by variable, names of its own."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    label = html.escape(f"{panel.title}. {panel.caption}", quote=True)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{panel.name}-", svg)
    for colour in DARK:
        svg = svg.replace(colour, f"var({variable(colour)})")
    # Text without a colour of its own is black otherwise.
    return svg.replace("<svg", f'<svg style="fill: var({variable(style.INK)})"', 1)


def table(rows):
    """The rows of the setting that the words are about."""
    head = ["method", "recall", "attention mass", "p50 us", "p99 us"]
    lines = []
    for row in sorted(rows, key=lambda r: r["p50_us"]):
        mass = "-" if row["attention_mass"] is None else f"{row['attention_mass']:.3f}"
        lines.append([row["method"], f"{row['recall_ties']:.3f}", mass, f"{row['p50_us']:,.1f}",
                      f"{row['p99_us']:,.1f}"])
    return folded("All methods of this setting", head, lines)


def memory_table(rows, scale):
    """The memory of the same methods; nothing where the files do not say."""
    found = memory.memories(rows, scale)
    if not found:
        return ""
    return folded(f"Memory of {memory.title_of(rows[0], scale)}", memory.HEAD,
                  [memory.fields(entry) for entry in found])


def folded(name, head, lines):
    """A table that a screen folds and paper shows."""
    name = html.escape(name)
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>"
                    for line in lines)
    titles = "".join(f"<th>{c}</th>" for c in head)
    body = (f"<div class=table><table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody>"
            "</table></div>")
    # Not every browser can print what is folded.
    return (f"<details><summary>{name}</summary>{body}</details>"
            f"<section class=printed><h2>{name}</h2>{body}</section>")


def page(results, drawn, missing, title, scale):
    """The HTML of the page; memory is computed for `scale`."""
    rows = main_group(results.rows)
    tables = table(rows) + memory_table(rows, scale) if rows else ""
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in words.summary(results))
    figures = "".join(
        f"<figure{' class=dense' if panel.is_dense else ''}><h2>{html.escape(panel.title)}</h2>"
        f"{inline(svg_of(panel), panel)}<figcaption>{html.escape(panel.caption)}</figcaption>"
        "</figure>" for panel in drawn)
    notes = []
    if missing:
        notes.append("Not drawn, for lack of data: " + "; ".join(missing) + ".")
    if results.machines:
        notes.append("Measured on: " + "; ".join(results.machines) + ".")
    notes.append("Made by scripts/report.py of eta-simd; docs/measurement.md says how to read it.")
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{style_sheet()}</style></head><body>"
            f"<h1>{html.escape(title)}</h1>{paragraphs}{tables}"
            f"<main>{figures}</main><div class=notes>"
            + "".join(f"<p>{html.escape(note)}</p>" for note in notes) + "</div></body></html>\n")


def write(results, drawn, missing, title, folder, scale=memory.Scale()):
    """report.html and, in pictures/, each panel as SVG and PNG on white."""
    text = page(results, drawn, missing, title, scale)
    pictures = folder / "pictures"
    contents = {folder / "report.html": text.encode("utf-8")}
    for panel in drawn:
        for suffix in ("svg", "png"):
            data = io.BytesIO()
            panel.figure.savefig(data, format=suffix, dpi=160, facecolor="white",
                                 metadata={"Date": None} if suffix == "svg" else None)
            contents[pictures / f"{panel.name}.{suffix}"] = data.getvalue()
    pictures.mkdir(parents=True, exist_ok=True)
    write_files(contents)
    return folder / "report.html"
