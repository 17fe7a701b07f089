"""Spark by its JVM: RDDs, the SparkContext, and what py4j reaches of plans, limits and Hadoop's filesystems."""
