"""How good predictions are and how alike maps are, each measure written once."""
