"""Mini-Gemini (MGM): pictures seen by CLIP and, more finely, by a ConvNeXt, over Vicuna, Llama 3, Gemma, Mixtral or Yi.

Sources: Li et al., "Mini-Gemini: Mining the Potential of Multi-modality Vision Language Models" (arXiv 2403.18814);
the options and settings of the training scripts of dvlab-research/MGM. Its directories carry code files; those here are
written anew, and hold the two towers and the blocks that mine patches from the start.
"""

from harness.families.mini_gemini.family import (
    MGM_2B,
    MGM_2B_HD,
    MGM_7B,
    MGM_7B_HD,
    MGM_8B,
    MGM_8B_HD,
    MGM_8X7B,
    MGM_8X7B_HD,
    MGM_13B,
    MGM_13B_HD,
    MGM_34B,
    MGM_34B_HD,
    MiniGemini,
)

__all__ = [
    "MGM_2B",
    "MGM_2B_HD",
    "MGM_7B",
    "MGM_7B_HD",
    "MGM_8B",
    "MGM_8B_HD",
    "MGM_8X7B",
    "MGM_8X7B_HD",
    "MGM_13B",
    "MGM_13B_HD",
    "MGM_34B",
    "MGM_34B_HD",
    "MiniGemini",
]
