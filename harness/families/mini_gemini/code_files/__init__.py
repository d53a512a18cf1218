"""The code files that a Mini-Gemini directory carries, named in its `auto_map` and run where they are trusted.

They are copied as they stand: they import torch, transformers, numpy, PIL and each other, and nothing of the harness.
"""
