"""An explanation as files: NIfTI maps, tables, figures and one self-contained HTML page."""
