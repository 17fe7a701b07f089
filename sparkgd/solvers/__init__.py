"""Solvers: ask/tell state machines, one a file. No Spark, no data, no loss: only points and replies."""
