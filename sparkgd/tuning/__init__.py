"""Choice among models by metrics of held-out rows."""
