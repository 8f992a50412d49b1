"""Every threshold that turns a measured number into a verdict, with where it comes from.

A value "by convention" was set before results were seen and no study stands behind it: read the number beside it.
"""

from __future__ import annotations

# Volume of a brain mask in ml, from severe atrophy to the largest brains on record, with room for a generous mask;
# outside it, an error.
BRAIN_ML = (500.0, 2600.0)

# Alignment with the template. How far from here, in mm over the brain, the template is matched best: the geometric mean
# of the highest in place (0.75 on six real and four simulated scans) and the lowest turned by 10 degrees, shifted by 10
# mm or scaled by 15 % (12). On 91 scans since then: at most 1.8 in place, at least 12.0 misaligned
# (Testing/benchmarks/alignment_verdict.md). Above: "poor", and every output warns.
GOOD_OFFSET_MM = 3.0
# Below either, or stretched beyond the factor, no statement about regions would hold: an error. A cube of noise reaches
# a correlation of 0.40; real brains registered from a wrong pose (upside down, back to front, on a side) end with at
# most 0.47. The overlap tells poses apart less well (0.78 to 0.88 in those, 0.82 in tight masks that lie right), so it
# only refuses what no mask of a brain reaches.
POSSIBLE_CORRELATION = 0.50
POSSIBLE_OVERLAP = 0.60
POSSIBLE_STRETCH = 1.8
# Lowest share of the template's brain within the scan's field of view; a vertex cut by 2 cm leaves 0.95. By convention.
POSSIBLE_COVERED = 0.85
# A scan counts as being in template space already from both of these on: affine registration of single brains rarely
# reaches them, a scan that was normalised before does.
ALREADY_REGISTERED_CORRELATION = 0.90
ALREADY_REGISTERED_OVERLAP = 0.93

# Conservation: highest relative error of the map's sum. By convention; the rules conserve to rounding unless biases
# take a share.
CONSERVATION_ERROR = 0.05

# Randomisation: lowest similarity (mean absolute rank correlation) that fails. By convention, half way between
# unrelated and equal. On nine simulated subjects the methods known to fail reach 0.54 to 0.73, the others 0.14 to 0.35
# (Testing/benchmarks/distrusted_methods.md, which also says how the check was changed).
RANDOMISATION_SIMILARITY = 0.5

# Other class: lowest rank correlation with another class's map that fails. By convention.
OTHER_CLASS_SIMILARITY = 0.9

# Stability: lowest ICC of the region profiles that passes; "good" reliability begins there (Koo & Li 2016, "A guideline
# of selecting and reporting intraclass correlation coefficients").
STABILITY_ICC = 0.75

# Outside the brain: highest shares of the absolute relevance that pass. By convention. The border is the outermost two
# voxels; fluid is judged inside the brain only, where wide ventricles may rightly count.
OUTSIDE_BRAIN_SHARE = 0.10
BORDER_SHARE = 0.02
FLUID_SHARE = 0.50

# Localisation on simulated subjects: lowest multiple of chance that passes. No mean of ranks can exceed it, and an edge
# detector reaches 1.1 (Testing/benchmarks/README.md).
LOCALISATION_TIMES_CHANCE = 2.0

# Faithfulness: level of the permutation test; the usual one.
FAITHFULNESS_LEVEL = 0.05

# Region statistics: a region stands out from this gain on (its mean relevance over the brain's). In 80 maps of Gaussian
# noise on the sample's brain, white or smoothed to 4, 8 and 16 mm, the highest of 110 regions reaches 1.1 to 2.8, in a
# uniform map 1. The sample's eight maps reach 11 to 57, and their fifth regions 6.5 to 39.
STANDING_OUT_GAIN = 3.0

# Anatomy. A region below this volume is marked, not ranked: at 1 mm it has 300 voxels, most of them at its edge, and a
# map that was brought from a grid of 2 mm has 37 values in it. By convention.
SMALLEST_REGION_ML = 0.3
# A structure is unsure from this mean entropy on (over its maximum, 0 to 1), where the network's metadata has no number
# of its own for it (Testing/benchmarks/segmentation_uncertainty.py finds and writes those). By convention.
UNSURE_ENTROPY = 0.3
# Lowest overlap (Dice) of the segmented brain with the brain mask that raises no warning. By convention: a mask and a
# brain of which a quarter is missing overlap by 0.86.
SEGMENTED_BRAIN_OVERLAP = 0.85

# The network's input. A feature counts as unlike training beyond its training range by this share of the range; real
# scans must stay within it and wrong intensity steps must not (Testing/benchmarks/input_check.md).
INPUT_MARGIN = 0.5
# By convention: inputs are scaled to the order of 1; tissues differ by more than the first, and stay below the second.
INPUT_CONSTANT = 0.02
INPUT_HUGE = 1e4
# Share of the brain within the grid. A grid that is tight by a voxel or two keeps more.
INPUT_BRAIN_KEPT = 0.97
# Below, nothing is left to explain: an error. By convention; a network of one hippocampus sees about 2 %.
INPUT_BRAIN_LEAST = 0.01
# How much better a turned template must match before a scan is said to be turned. By convention; brains are not
# symmetric from top to bottom or front to back, so an upright one matches the upright template better by about 0.3.
INPUT_TURNED = 0.05
# A scan is skull-stripped if fewer voxels outside the brain are bright (above the brain's 5th percentile) than this
# share of the brain's. Whole heads have 0.5 and more, stripped ones up to a few per cent at a generous mask's edge.
STRIPPED_SHARE = 0.10

# What a trained network is asked to reach; its card says whether it does. By convention. The AUC of hippocampal volume
# alone, which the network's is compared with, stands in the card too.
GOAL_AUC = {"AD": 0.92, "MCI": 0.72}
GOAL_AUC_BELOW_VOLUME = 0.03  # at most so far below volume alone
GOAL_AUC_CHANGE = 0.03  # at most so much lower under another acquisition
GOAL_CALIBRATION_ERROR = 0.06
GOAL_CORRELATION = -0.8  # of the AD - CN logit with the hippocampal fraction; Dyrba et al. 2021 found about -0.86
GOAL_FLIP_CHANGE = 0.05  # of the AD probability by a left-right flip

# How far a change of log-volume may go before no brain is known to make it: the strongest that the simulator's disease
# makes in 16 simulated AD subjects of the anatomies 02 and 13, without a thousandth of the voxels at either end
# (-0.49 in tissue, 1.13 in fluid, which loses it again on the way back).
TISSUE_LOG_VOLUME = 0.5
FLUID_LOG_VOLUME = 1.15

# Above this share of what the network looks at (its gradient by displacements) outside of the mask, volume methods
# say so. By convention; a skull-stripped scan has 0.1, from the voxels at the mask's edge.
OUTSIDE_MASK_SHARE = 0.25

# Silhouette: lowest share of the contour in what contour and tissue move that fails: as much as the tissue. The same of
# a mask that is a voxel tighter or wider. By convention; measured in Testing/benchmarks/trust_checks.md.
SILHOUETTE_SHARE = 0.5
MASK_EDGE_SHARE = 0.5

# Recovery: the largest change of a structure that is tried; a model that notices none up to here fails. Hippocampi of
# mild AD are smaller by a fifth to a quarter. An answer counts as moved beyond so many root mean squares of its own
# noise (pose, mask, scanner): 95 % of a normal distribution.
RECOVERY_LARGEST = 0.30
RECOVERY_NOISE = 1.96
