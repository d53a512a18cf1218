"""MiniCPM-Llama3-V 2.5: an Idefics2 vision tower over sliced pictures, a resampler, and Llama 3 8B.

Sources: Yao et al., "MiniCPM-V: A GPT-4V Level MLLM on Your Phone" (arXiv 2408.01800); the configuration, key names and
processing rules published with openbmb/MiniCPM-Llama3-V-2_5; the fine-tuning options of OpenBMB/MiniCPM-V. Its
directories carry code files; those here are written anew and do what the published ones do.
"""

from harness.families.minicpm.family import MINICPM_LLAMA3_V_2_5, MiniCPM

__all__ = ["MINICPM_LLAMA3_V_2_5", "MiniCPM"]
