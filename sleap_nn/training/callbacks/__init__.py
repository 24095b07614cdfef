"""What happens beside the optimisation steps of a run; one concern a file."""
