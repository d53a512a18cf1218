"""MiniCPM-V 2.0: a SigLIP tower of timm's over sliced pictures, a resampler with fixed positions, and MiniCPM 2.4B.

Sources: the configuration and key names published with openbmb/MiniCPM-V-2, and the fine-tuning options of
OpenBMB/MiniCPM-V, whose llm_type `minicpm` it is.
"""

from harness.families.minicpm.v20.family import MINICPM_V_2

__all__ = ["MINICPM_V_2"]
