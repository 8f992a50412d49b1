"""Many subjects: each explained as a single scan is, then statistics, maps and one page of the groups."""
