"""What a fit can go on from after its driver was lost: states as bytes, files of them, and who keeps them when."""
