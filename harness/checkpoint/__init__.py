"""Layer 1. Reads saved directories: headers, fingerprints, what they promise. Serves the making and the judging side."""
