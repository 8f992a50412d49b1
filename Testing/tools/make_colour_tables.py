"""Write Resources/ColorTables: the colours in which relevance is shown over a scan.

Over a grey scan, dark must mean little and bright must mean much, on both sides of zero. So the sequential table is
matplotlib's inferno (CC0) without its black beginning, and the diverging one is drawn in CIELAB: from a dark centre,
lightness rises linearly and equally on both sides, over blue to pale blue below zero, over red to pale orange above.
Others are offered for readers who are used to them: matplotlib's viridis, cividis, magma and plasma (CC0), purple and
green in place of blue and red, and blue and red with a light centre, as figures on white paper have it.

Run it as ``python -m Testing.tools.make_colour_tables``; a test compares what it would write with what ships.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 255  # odd, so that zero has a colour of its own
HIDDEN = 0.15  # share of the range around zero that is transparent

Colours = NDArray[np.float64]  # (N, 3), 0..1


def lab_to_srgb(lab: Colours) -> Colours:
    """CIELAB (D65) to sRGB, not clipped: components outside 0..1 are out of gamut."""
    f_y = (lab[:, 0] + 16) / 116
    f = np.stack([f_y + lab[:, 1] / 500, f_y, f_y - lab[:, 2] / 200], axis=1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.95047, 1.0, 1.08883)
    linear = (
        xyz
        @ np.array(
            [
                [3.2404542, -1.5371385, -0.4985314],
                [-0.9692660, 1.8760108, 0.0415560],
                [0.0556434, -0.2040259, 1.0572252],
            ]
        ).T
    )
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)


def srgb_to_lab(rgb: Colours) -> Colours:
    """SRGB (0..1) to CIELAB (D65)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = (
        linear
        @ np.array(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
        ).T
    ) / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _arm(
    hue_from: float, hue_to: float, peak: float, steps: int, lightness_from: float = 14.0, lightness_to: float = 82.0
) -> Colours:
    """Grey to a colour, dark to light unless told otherwise, (steps, 3) in CIELAB; chroma stays inside sRGB."""
    t = np.linspace(0, 1, steps)
    lightness = lightness_from + (lightness_to - lightness_from) * t
    hue = np.radians(hue_from + (hue_to - hue_from) * t)
    chroma = peak * np.sin(np.pi * 0.8 * t) ** 0.9
    direction = np.stack([np.cos(hue), np.sin(hue)], axis=1)
    low, high = np.zeros(steps), chroma
    for _ in range(30):  # bisection for the largest chroma that sRGB can show
        middle = (low + high) / 2
        rgb = lab_to_srgb(np.column_stack([lightness, direction * middle[:, None]]))
        shown = ((rgb >= 0) & (rgb <= 1)).all(axis=1)
        low, high = np.where(shown, middle, low), np.where(shown, high, middle)
    return np.column_stack([lightness, direction * low[:, None]])


_HALF = SIZE // 2 + 1


def _joined(below: Colours, above: Colours) -> Colours:
    return lab_to_srgb(np.vstack([below[:0:-1], above])).clip(0, 1)


def diverging() -> Colours:
    """Blue below zero, red above, dark at zero; (SIZE, 3) sRGB."""
    return _joined(_arm(285.0, 245.0, 47.0, _HALF), _arm(25.0, 70.0, 68.0, _HALF))


def purple_green() -> Colours:
    """Purple below zero, green above, dark at zero; (SIZE, 3) sRGB."""
    return _joined(_arm(318.0, 308.0, 60.0, _HALF), _arm(150.0, 120.0, 60.0, _HALF))


def light_centre() -> Colours:
    """Blue below zero, red above, light at zero; (SIZE, 3) sRGB."""
    return _joined(_arm(265.0, 285.0, 60.0, _HALF, 95.0, 32.0), _arm(50.0, 32.0, 70.0, _HALF, 95.0, 32.0))


def sequential(name: str = "inferno", start: float = 0.22) -> Colours:
    """matplotlib's, from a part of its length upwards, where it starts too dark for a scan; (SIZE, 3) sRGB."""
    from matplotlib import colormaps

    return np.asarray(colormaps[name].resampled(SIZE * 4)(np.linspace(start, 1.0, SIZE)))[:, :3]


def table(title: str, names: list[str], colours: Colours, alpha: NDArray[np.float64]) -> str:
    """The text of a Slicer colour table: index, name without blanks, red, green, blue, alpha (0..255)."""
    values = np.column_stack([colours, alpha]).clip(0, 1)
    rows = [
        f"{index} {name} {' '.join(str(v) for v in np.rint(255 * row).astype(int))}"
        for index, (name, row) in enumerate(zip(names, values, strict=True))
    ]
    return "\n".join(["# Color table file", f"# {title}", f"# {len(rows)} values", *rows, ""])


def tables() -> dict[str, str]:
    """File name to text."""
    signed = np.linspace(-1, 1, SIZE)
    unsigned = np.linspace(0, 1, SIZE)
    steps = sequential()[[90, 165, 235]]

    def with_sign(colours: Colours) -> str:
        title = "Relevance with a sign, centred at zero; near zero transparent"
        names = [f"{100 * v:+.1f}%" for v in signed]
        return table(title, names, colours, (np.abs(signed) >= HIDDEN).astype(float))

    def without_sign(colours: Colours) -> str:
        title = "Relevance without a sign; a display threshold hides low values"
        return table(title, [f"{100 * v:.1f}%" for v in unsigned], colours, np.ones(SIZE))

    return {
        "MRIInterpretSigned.ctbl": with_sign(diverging()),
        "MRIInterpretSignedPurpleGreen.ctbl": with_sign(purple_green()),
        "MRIInterpretSignedLight.ctbl": with_sign(light_centre()),
        "MRIInterpretSequential.ctbl": without_sign(sequential()),
        "MRIInterpretViridis.ctbl": without_sign(sequential("viridis", 0.0)),
        "MRIInterpretCividis.ctbl": without_sign(sequential("cividis", 0.0)),
        "MRIInterpretMagma.ctbl": without_sign(sequential("magma")),
        "MRIInterpretPlasma.ctbl": without_sign(sequential("plasma", 0.0)),
        "MRIInterpretConsensus.ctbl": table(
            "Voxels that are among the most relevant ones of several methods",
            ["fewer_than_half", "half_of_the_methods", "two_thirds_of_the_methods", "all_methods"],
            np.vstack([np.zeros(3), steps]),
            np.array([0.0, 1.0, 1.0, 1.0]),
        ),
    }


if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[2] / "Resources" / "ColorTables"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables().items():
        (folder / name).write_text(text, encoding="utf-8")
