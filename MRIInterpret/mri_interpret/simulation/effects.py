"""What Alzheimer's disease, mild cognitive impairment and age do to each region, as published; a source a line.

Volumes (or thicknesses, where those were measured) against controls, corrected for head size as in the source. Where a
source says *that* a region changes but its abstract or table has no size, the size is ours and the line says so.

Sources
-------
Shi 2009: Hippocampus 19:1055, doi:10.1002/hipo.20573; meta-analysis, 14 studies of MCI: left and right hippocampus
    -12.9 % and -11.1 % in MCI, -24.2 % and -23.1 % in AD.
Klein-Koerkamp 2014: Curr Alzheimer Res 11:239; amygdala and hippocampus both about -24 % in AD.
Poulin 2011: Psychiatry Res Neuroimaging 194:7, PMC3185127; amygdala loss parallels the hippocampus' at each stage.
Du 2001: J Neurol Neurosurg Psychiatry 71:441; entorhinal -13 % in MCI and -39 % in AD.
Juottonen 1998: Neurobiol Aging 19:15; entorhinal -40 % in early AD, and not dependent on age.
Bakkour 2013: Neuroimage, PMC4098706, table 2; mean cortical thickness of 142 young and 87 old controls and 28 AD.
Bakkour 2009: Neurology 72:1048, PMC2677470; MCI has the same pattern, milder.
Risacher 2009: Curr Alzheimer Res 6:347, PMC2764863; ADNI's MCI and AD share one temporal and parietal pattern.
Halliday 2003: Neurobiol Aging 24:797; fusiform, inferior temporal and superior and middle frontal cortex suffer most.
de Jong 2008: Brain, doi:10.1093/brain/awn278; putamen and thalamus smaller in AD.
Roh 2011: J Neurol 258:1013; amygdala first, thalamus from mild and putamen from moderate AD; caudate late.
Grothe 2010: Cereb Cortex 20:1685, PMC2912653; basal forebrain smaller in MCI already.
Nie 2017: Front Neurol 8:399; nucleus accumbens smaller in MCI and AD.
Nestor 2008: Brain 131:2443, PMC2724905; ventricles largest in AD, then MCI.
Apostolova 2012: Alzheimer Dis Assoc Disord 26:17; ventricles widen with age and with disease, each by itself.
Fraser 2015: Neuroimage 112:364; meta-analysis, 28 studies: hippocampus -0.85 % a year over all ages. Its rates by age
    (-0.38, -0.98 and -1.12 % below 55, to 70, and beyond) are cited from memory; the table was not looked up.
Fjell 2009: J Neurosci 29:15223; cortex of temporal and prefrontal lobes about -0.5 % a year in healthy elderly.
Fjell 2013: Neurobiol Aging 34:2239, PMC3706494; subcortical volumes and ventricles from 18 to 94 years.
Storsve 2014: J Neurosci 34:8488; cortical volume -0.51 % a year from 23 to 87, of which area is -0.19.
Choi 2022: PMC9787236; cross-sectional, 198 healthy people of 20 to 88 years: thalamus -0.45 % a year. (The paper was
    looked up by its number; the first author's name is cited from memory.)
"""

from __future__ import annotations

from typing import NamedTuple

REFERENCE_AGE = 73.0


class Effect(NamedTuple):
    """One region's line. Percentages of the controls' volume of the left and the right side; rates in % a year."""

    region: str
    ad: tuple[float, float]
    mci: tuple[float, float]
    ageing: tuple[float, float, float]  # below 55 years, 55 to 70, beyond 70
    spread: float  # SD of the log volume between healthy people of an age; cortex: Bakkour 2013's old controls
    source: str


# Bakkour 2013's thickness from young to old controls, about 53 years apart, gives the ageing of the cortex to 70, plus
# 0.1 % for area (half of Storsve 2014's, because regions differ); beyond, at least Fjell 2009's 0.5 %.
EFFECTS: tuple[Effect, ...] = (
    Effect("hippocampus", (-24.2, -23.1), (-12.9, -11.1), (-0.38, -0.98, -1.12), 0.12,
           "Shi 2009; ageing Fraser 2015"),
    Effect("amygdala", (-24.0, -24.0), (-12.0, -12.0), (-0.3, -0.6, -0.8), 0.14,
           "AD Klein-Koerkamp 2014; MCI half of it as the hippocampus' (Poulin 2011); ageing Fjell 2013, sizes ours"),
    Effect("entorhinal", (-39.0, -39.0), (-13.0, -13.0), (-0.1, -0.2, -0.5), 0.2,
           "Du 2001; ageing small (Juottonen 1998), beyond 70 Fjell 2009"),
    Effect("parahippocampal", (-11.9, -11.9), (-6.0, -6.0), (-0.19, -0.19, -0.5), 0.12,
           "Bakkour 2013, medial temporal; MCI half, size ours (Bakkour 2009)"),
    Effect("fusiform", (-10.0, -10.0), (-5.0, -5.0), (-0.2, -0.2, -0.5), 0.09,
           "between Bakkour 2013's inferior temporal -13.6 and caudal fusiform -2.8, nearer the first (Halliday 2003)"),
    Effect("inferior temporal", (-13.6, -13.6), (-6.8, -6.8), (-0.13, -0.13, -0.5), 0.095,
           "Bakkour 2013; MCI half, size ours (Bakkour 2009)"),
    Effect("middle temporal", (-10.5, -9.5), (-5.0, -5.0), (-0.2, -0.2, -0.5), 0.08,
           "between Bakkour 2013's inferior temporal and supramarginal (pattern: Risacher 2009), size ours"),
    Effect("superior temporal", (-6.8, -6.8), (-3.4, -3.4), (-0.22, -0.22, -0.5), 0.075,
           "as Bakkour 2013's whole cortex, size ours"),
    Effect("temporal pole", (-7.0, -7.0), (-3.5, -3.5), (-0.23, -0.23, -0.5), 0.09, "Bakkour 2013; MCI half"),
    Effect("precuneus", (-6.5, -6.5), (-3.2, -3.2), (-0.24, -0.24, -0.5), 0.065, "Bakkour 2013; MCI half"),
    Effect("posterior cingulate", (-6.8, -6.8), (-3.4, -3.4), (-0.22, -0.22, -0.5), 0.075,
           "as Bakkour 2013's whole cortex, size ours"),
    Effect("inferior parietal", (-10.3, -9.5), (-5.0, -5.0), (-0.28, -0.28, -0.5), 0.07,
           "Bakkour 2013, angular and supramarginal; MCI half"),
    Effect("superior parietal", (-6.5, -6.5), (-3.2, -3.2), (-0.19, -0.19, -0.5), 0.065, "Bakkour 2013; MCI half"),
    Effect("superior and middle frontal", (-9.0, -9.0), (-3.0, -3.0), (-0.25, -0.25, -0.5), 0.062,
           "Bakkour 2013; MCI a third, because frontal loss comes late, size ours"),
    Effect("inferior and orbital frontal", (-3.7, -3.7), (-1.2, -1.2), (-0.29, -0.29, -0.5), 0.055,
           "Bakkour 2013, inferior frontal; MCI a third, size ours"),
    Effect("sensorimotor", (-3.1, -3.1), (-1.0, -1.0), (-0.31, -0.31, -0.5), 0.062,
           "Bakkour 2013, precentral; MCI a third, size ours"),
    Effect("occipital", (-4.0, -4.0), (-1.3, -1.3), (-0.35, -0.35, -0.5), 0.065,
           "Bakkour 2013, lateral occipital -3.2, cuneus -4.1, calcarine -6.8; MCI a third, size ours"),
    Effect("insula", (-3.6, -3.6), (-1.8, -1.8), (-0.43, -0.43, -0.5), 0.083, "Bakkour 2013, caudal insula; MCI half"),
    Effect("accumbens and basal forebrain", (-14.0, -14.0), (-7.0, -7.0), (-0.4, -0.5, -0.6), 0.14,
           "Nie 2017 and Grothe 2010, sizes ours; ageing Fjell 2013, sizes ours"),
    Effect("thalamus", (-7.0, -7.0), (-3.0, -3.0), (-0.45, -0.45, -0.45), 0.07,
           "de Jong 2008 and Roh 2011, sizes ours; ageing Choi 2022"),
    Effect("caudate", (-2.0, -2.0), (0.0, 0.0), (-0.2, -0.1, 0.0), 0.1,
           "spared until late (Roh 2011), size ours; ageing Fjell 2013, sizes ours"),
    Effect("putamen", (-6.0, -6.0), (-1.5, -1.5), (-0.4, -0.4, -0.4), 0.09,
           "de Jong 2008 and Roh 2011, sizes ours; ageing Fjell 2013, sizes ours"),
    Effect("inferior lateral ventricle", (85.0, 85.0), (40.0, 40.0), (1.0, 2.0, 3.0), 0.40,
           "Nestor 2008, Apostolova 2012, sizes ours; ageing Fjell 2013, sizes ours"),
    Effect("lateral ventricle", (45.0, 45.0), (20.0, 20.0), (1.0, 2.0, 3.0), 0.45,
           "Nestor 2008, Apostolova 2012, sizes ours; ageing Fjell 2013, sizes ours"),
    Effect("third ventricle", (25.0, 25.0), (12.0, 12.0), (1.0, 1.6, 2.0), 0.25,
           "with the lateral ventricles, sizes ours"),
)  # fmt: skip
EFFECT_OF = {effect.region: effect for effect in EFFECTS}

# Ferreira 2020, Neurology 94:436, doi:10.1212/WNL.0000000000009058: pooled frequencies of 55, 21, 17 and 15 %, each
# over the studies that had the subtype, so that they add up to 108; they are drawn in proportion.
SUBTYPES = {"typical": 55.0, "limbic-predominant": 21.0, "hippocampal-sparing": 17.0, "minimal atrophy": 15.0}
#: How much of the mean effect each subtype has in limbic regions and in the cortex. The signs of the differences are
#: Ferreira 2020's definition, the sizes ours; :func:`.published.subtype_factors` scales them so that over all patients
#: the mean effects are the table's.
SUBTYPE_SHARES = {
    "typical": (1.15, 1.15),
    "limbic-predominant": (1.25, 0.55),
    "hippocampal-sparing": (0.55, 1.35),
    "minimal atrophy": (0.45, 0.45),
}
LIMBIC = (
    *("hippocampus", "amygdala", "entorhinal", "parahippocampal", "temporal pole"),
    *("accumbens and basal forebrain", "inferior lateral ventricle"),
)
