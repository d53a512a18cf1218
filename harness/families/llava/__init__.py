"""LLaVA-1.5 as transformers ships it: a CLIP tower, a two-layer connector, a Llama language model.

Sources: Liu et al., "Improved Baselines with Visual Instruction Tuning" (arXiv 2310.03744); the configurations of
llava-hf/llava-1.5-7b-hf and llava-1.5-13b-hf, whose keys are the canonical ones here.
"""

from harness.families.llava.family import LLAVA_7B, LLAVA_13B, Llava

__all__ = ["LLAVA_7B", "LLAVA_13B", "Llava"]
