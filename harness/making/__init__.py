"""Layer 3, making side. Makes what was planned, in a worker: base directories, and one run under the recorder."""
