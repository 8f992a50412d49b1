"""What comes out of a group of subjects: the tables, maps and pictures that the page and the files show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..drawing.canvas import Picture
from .label_performance import LabelPerformance
from .method_group_maps import MethodGroupMaps
from .performance import Performance
from .planning import Plan
from .quantity_performance import QuantityPerformance
from .subject_result import SubjectResult
from .subjects import Outcome


@dataclass(frozen=True)
class GroupResults:
    """The results of all explained subjects of a cohort together."""

    plan: Plan
    subjects: Sequence[SubjectResult]  # in the table's order
    failures: Sequence[Outcome]
    predictions: pd.DataFrame  # see performance.predictions_table, quantity_performance.quantity_table
    performance: (
        Performance | QuantityPerformance | LabelPerformance | None
    )  # None if the table tells nothing of the truth
    regions: pd.DataFrame  # see regions.long_table
    region_means: pd.DataFrame  # see regions.group_means
    region_selection: pd.DataFrame  # see regions.selection
    top_regions: pd.DataFrame  # see regions.most_named
    consistency: pd.DataFrame  # see regions.consistency
    correlations: pd.DataFrame  # see correlations.covariate_correlations
    value_correlations: pd.DataFrame  # see quantity_performance.value_correlations; empty for a model of classes
    methods: dict[str, dict[str, Any]]  # name -> title, signed, units; "summary" included
    excluded: tuple[str, ...] = ()  # methods that the summary score of no subject includes
    unranked: tuple[str, ...] = ()  # regions that the statistics leave out: see regions.unranked
    space: str = "template"  # where relevance per region is measured: see group.statistics_space
    volumes: pd.DataFrame = field(default_factory=pd.DataFrame)  # see volumes.volume_wide; empty if not measured
    group_volumes: pd.DataFrame = field(default_factory=pd.DataFrame)  # see volumes.group_volumes
    volume_changes: pd.DataFrame = field(default_factory=pd.DataFrame)  # see volume_changes.changes_long
    group_volume_changes: pd.DataFrame = field(default_factory=pd.DataFrame)  # see volume_changes.group_changes
    references: pd.DataFrame = field(default_factory=pd.DataFrame)  # see references.references_long
    group_references: pd.DataFrame = field(default_factory=pd.DataFrame)  # see references.group_references
    maps: dict[str, MethodGroupMaps] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
