"""Metrics of predictions by DataFrames alone, under the names of MLlib's summaries: for where it has no model to ask.

The rows have columns of plain names: ``label``, ``weight``, and what the model adds.
"""
