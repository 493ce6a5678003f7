"""A local server that speaks TensorFlow Serving's API, and a client for both."""
