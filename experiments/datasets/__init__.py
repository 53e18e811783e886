"""Data sets by name or URI, as uint8 arrays, and their stratified splits. numpy only, no TensorFlow."""
