"""Bars as SVG, readable on light and on dark pages."""

from html import escape

from kit import number

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 } .value { fill: #57606a }
.bar { fill: #8c959f } .ours { fill: #0a7d5a } line { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .value { fill: #9198a1 } .bar { fill: #6e7681 } .ours { fill: #2fbf8f } line { stroke: #e6edf3 } }
"""
LEFT, WIDE, HIGH = 230, 380, 26


def bars(title, figures, digits):
    """A bar for each median, a line from the least to the most of the rounds."""
    longest = max(figure["max"] for figure in figures.values()) or 1
    width, height = LEFT + WIDE + 130, 44 + HIGH * len(figures)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for place, (name, figure) in enumerate(figures.items()):
        top = 36 + HIGH * place
        least, middle, most = (WIDE * figure[key] / longest for key in ("min", "median", "max"))
        kind = "ours" if name.startswith("AUREN") else "bar"
        lines += [
            f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{top + 2}" width="{max(middle, 1):.1f}" height="{HIGH - 8}"/>',
            f'<line x1="{LEFT + least:.1f}" x2="{LEFT + most:.1f}" y1="{top + 11}" y2="{top + 11}"/>',
            f'<text class="value" x="{LEFT + most + 8:.1f}" y="{top + 15}">{number(figure["median"], digits)}</text>',
        ]
    return "\n".join([*lines, "</svg>\n"])
