"""Show the machine's roofline in a terminal."""

from __future__ import annotations

import math

from rich.progress import Progress
from rich.text import Text

from tinytorch_compete.cli.console import console, errors, table
from tinytorch_compete.profiling import roofline
from tinytorch_compete.profiling.roofline import Rate, Roof
from tinytorch_compete.rendering.column import Column

LEAST, MOST = -4, 10  # intensities of the picture: from 2**-4 to 2**10 flop/byte
COLUMN = 4  # characters for each doubling of the intensity
ROWS = 11
NOISY = 0.25  # a spread from which on a figure is called noisy
MARKS = {"float32": "●", "float64": "○"}


def show() -> None:
    """Print this machine's roofline; measure it first if it never was."""
    roof = roofline.load()
    if roof is None:
        with Progress(console=errors, transient=True) as progress:
            progress.add_task("measuring one core", total=None)
            roof = roofline.measure()
        roofline.save(roof)
    console.print(_figures(roof))
    console.print()
    console.print("\n".join(picture(roof)), markup=False, highlight=False)
    for line in _explanations(roof):
        console.print(line, markup=False, highlight=False)


def picture(roof: Roof) -> list[str]:
    """Draw the roofline on logarithmic axes: flop/s against flop/byte, for both precisions."""
    top = math.log2(roof.float32.median)
    low = math.log2(roof.attainable(2.0**LEAST, "float32"))
    width = (MOST - LEAST) * COLUMN + 1
    grid = [[" "] * width for _ in range(ROWS)]
    for precision in ("float64", "float32"):  # the last one wins where both are the same
        for column in range(width):
            intensity = 2.0 ** (LEAST + column / COLUMN)
            height = math.log2(roof.attainable(intensity, precision)) - low
            row = ROWS - 1 - round(height / max(top - low, 1e-9) * (ROWS - 1))
            grid[min(max(row, 0), ROWS - 1)][column] = MARKS[precision]
    names = [f"{2 ** (low + (top - low) * row / (ROWS - 1)) / 1e9:.3g}" for row in range(ROWS)]
    lines = [
        f"{name:>7} │{''.join(cells).rstrip()}"
        for name, cells in zip(reversed(names), grid, strict=True)
    ]
    ticks = "".join(f"{2.0**power:<{2 * COLUMN}g}" for power in range(LEAST, MOST + 1, 2))
    head = f"Gflop/s   {MARKS['float32']} float32  {MARKS['float64']} float64"
    return [head, *lines, f"{'':>7} └{'─' * width}", f"{'':>8} {ticks.rstrip()} flop/byte"]


def _figures(roof: Roof) -> object:
    rows: list[list[str | Text]] = [
        ["memory bandwidth", *_rate(roof.bandwidth, "GB/s")],
        ["filling new memory", *_rate(roof.fresh, "GB/s")],
        ["float32 products", *_rate(roof.float32, "Gflop/s")],
        ["float64 products", *_rate(roof.float64, "Gflop/s")],
        ["a call of numpy", f"{roof.call_s * 1e6:.2f} µs", "", ""],
    ]
    columns = [Column.unbroken(), Column.numeric("median")]
    columns += [Column.numeric("lowest to highest"), Column.unbroken()]
    return table("One core of this machine", columns, rows)


def _rate(rate: Rate, unit: str) -> list[str | Text]:
    noisy = Text("noisy: other work ran meanwhile", "yellow") if rate.spread > NOISY else ""
    low, high = rate.low / 1e9, rate.high / 1e9
    return [f"{rate.median / 1e9:.1f} {unit}", f"{low:.1f} to {high:.1f}", noisy]


def _explanations(roof: Roof) -> list[str]:
    ridges = roof.ridge("float32"), roof.ridge("float64")
    return [
        f"\nRidge points: {ridges[0]:.1f} flop/byte in float32, {ridges[1]:.1f} in float64. Code "
        "that does less for each byte it moves waits for memory; code that does more, for "
        "arithmetic.",
        f"{roof.machine}; {roof.measured_at:%Y-%m-%d %H:%M} UTC, saved in {roofline.path()}. "
        "Delete that file to measure again.",
    ]
