"""The loop that drives any number of solvers over shared rounds, and what it needs. Driver side, no Spark."""
