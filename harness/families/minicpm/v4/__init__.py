"""MiniCPM-V 4.6 and 4.7, whose classes the transformers library has: no code files, and a language model that mixes
linear attention with full.

Sources: the classes and their defaults in transformers 5.23; Qwen 3.5 0.8B and SigLIP 400M, of which MiniCPM-V 4.6 is
made, give the published sizes: 1,300,659,440 parameters, where the class's defaults make 9.11 billion.
"""

from harness.families.minicpm.v4.family import MINICPM_V_4_6, MINICPM_V_4_7

__all__ = ["MINICPM_V_4_6", "MINICPM_V_4_7"]
