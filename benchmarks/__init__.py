"""What the project promises about speed, measured. `python -m benchmarks` writes results.json and fails on a miss."""
