"""Few rows that stand for all: each reduction says in which sense, and when it applies."""
