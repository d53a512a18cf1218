"""What is copied into a MiniCPM-V 2.6 directory: these files, and in place of the resampler 2.5's, which it shares.

They import only transformers, torch, numpy and PIL, and each other.
"""
