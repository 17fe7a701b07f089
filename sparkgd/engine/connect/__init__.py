"""Spark Connect: executors and files for a client that has neither a JVM nor RDDs."""
