"""From DataFrame columns to blocks: reading Arrow batches, block files, statistics, ingest."""
