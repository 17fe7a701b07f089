"""Where a round runs: on a Spark cluster, or in the driver process for small data."""
