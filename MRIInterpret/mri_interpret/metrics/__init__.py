"""Every measure, written once: how good predictions are, how alike maps are, how far raters agree, with intervals."""
