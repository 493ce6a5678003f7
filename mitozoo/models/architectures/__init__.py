"""One file per architecture; the file's name is the model's name."""
