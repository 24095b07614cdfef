"""Pure functions on arrays: no configuration, no files, no state."""
