"""What is copied into a MiniCPM-V 2.0 directory: these files, and those that 2.0 shares with 2.5.

They import only transformers, torch, numpy and PIL, and each other.
"""
