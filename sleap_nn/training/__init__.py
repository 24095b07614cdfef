"""Training: resolve the configuration, fit the network, keep the run folder."""
