"""One explanation's report: a self-contained HTML page, its charts and pictures."""
