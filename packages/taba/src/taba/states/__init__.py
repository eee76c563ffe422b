"""States: how events fold into them, how they merge, coarsen with age, and are kept as chunks."""
