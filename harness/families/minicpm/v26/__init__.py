"""MiniCPM-V 2.6: SigLIP over sliced pictures of any shape, a resampler of 64 queries, and Qwen 2 7B.

Sources: the configuration and key names published with openbmb/MiniCPM-V-2_6, and the fine-tuning options of
OpenBMB/MiniCPM-V, whose llm_type `qwen` it is.
"""

from harness.families.minicpm.v26.family import MINICPM_V_2_6

__all__ = ["MINICPM_V_2_6"]
