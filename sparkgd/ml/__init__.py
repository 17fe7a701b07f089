"""What the model families share: params, columns, the fit template, scoring, summaries, persistence."""
