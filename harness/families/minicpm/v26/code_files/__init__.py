"""What is copied into a MiniCPM-V 2.6 directory: these files, and those that 2.6 shares with 2.5.

They import only transformers, torch, numpy and PIL, and each other. In a directory all lie side by side; here those
that are shared are found where 2.5 has them.
"""

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "code_files"))
