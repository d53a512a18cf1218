"""Suites that cover every pair of values, or every t of them, in few recipes: `matrix: {pairwise: ...}`."""
