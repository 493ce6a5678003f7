"""A model as a SavedModel for TensorFlow Serving, with everything from the bytes of an image to points in the graph."""
