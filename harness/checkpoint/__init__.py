"""Layer 1. Reads saved directories: headers, fingerprints, promises. Serves the making and the judging side."""
