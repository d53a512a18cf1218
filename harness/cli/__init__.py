"""Layer 5. The command line: one line for bad input, facts as text or as --json."""
