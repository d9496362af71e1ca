"""From a graph and inputs to what its two forms showed: origins, runs, processes."""
