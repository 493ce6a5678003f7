"""Read, tile, predict, decode, merge: images to points."""
