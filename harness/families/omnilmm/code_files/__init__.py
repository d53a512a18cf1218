"""The code files that an OmniLMM-12B directory carries, named in its `auto_map` and run where they are trusted.

They are copied as they stand: they import torch, transformers, safetensors, numpy, PIL and each other, and nothing of
the harness.
"""
