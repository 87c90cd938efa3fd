"""Private record linkage measured: data sets, one evaluation for all, and clear-text and CLK peers."""
