"""OmniLMM-12B: EVA02-enormous, a resampler of 64 queries, and Zephyr 7B.

Sources: the names, options and habits of OpenBMB/OmniLMM (`omnilmm/model/omnilmm.py`, `resampler.py`,
`train/train_utils.py`, `chat.py`), which ships no training script; the layout of timm's
`eva02_enormous_patch14_clip_224.laion2b_plus`; Zephyr-7B-beta's configuration. Its directories carry code files; those
here are written anew and do what the published ones do.

Not verified, for the published configuration was not to be had: the number of queries (64), the size of pictures (448)
and the vocabulary (32000, three tokens for images, six for boxes, references and quads); that a published directory's
tower has these key names under `model.vision_tower.`; what normalises pictures (CLIP's mean and deviation are taken);
whether an answer's last line end is learned (here it is not in the prompt); what becomes of text in a batch while the
adapter alone is tuned (here its embeddings are not detached, as upstream's comments lead to expect). Upstream has no
processor class and no data collator: those here are this project's own.
"""

from harness.families.omnilmm.family import OMNILMM_12B, OMNILMM_12B_NO_TUNE_CLIP, OmniLMM

__all__ = ["OMNILMM_12B", "OMNILMM_12B_NO_TUNE_CLIP", "OmniLMM"]
