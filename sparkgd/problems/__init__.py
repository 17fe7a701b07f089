"""What is minimised: a loss and a penalty of a coef, seen in a solver's coordinates."""
