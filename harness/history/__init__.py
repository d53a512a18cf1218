"""Layer 4. What past runs came to: one SQLite file, and what of time and numbers has moved from run to run."""
