"""Parts of Mask R-CNN. Boxes are x1, y1, x2, y2 in pixels of the tile, edges at integers: pixel i covers [i, i + 1]."""
