"""Labels and videos become training samples: reading, splitting, sampling, augmenting, batching."""
