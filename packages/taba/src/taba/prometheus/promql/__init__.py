"""PromQL, as much of it as a dashboard needs: read, checked, worked out over columns. Knows no States and no HTTP."""
