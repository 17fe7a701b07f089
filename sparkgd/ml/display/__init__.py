"""What a person sees of a fit: the progress line, where it is shown, and plots."""
