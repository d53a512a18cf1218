"""What only a GPU can show: `python -m benchmarks.gpu`, from a copied tree, with nothing installed (docs/gpu.md)."""
