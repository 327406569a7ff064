"""What is wrong with a cluster that runs are to be scheduled on: evidence is gathered once, checks are pure."""
