"""From fields and labels to tiles and targets."""
