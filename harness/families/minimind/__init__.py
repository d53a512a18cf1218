"""MiniMind in its three generations, dense and with experts, and MiniMind-V: small models with code of their own.

Sources: the configuration, key names and training rules published with jingyaogong/minimind and
jingyaogong/minimind-v, generation by generation. Their directories carry code files; those here are written anew and
do what the published ones do, failures included.
"""

from harness.families.minimind import dimensions as d
from harness.families.minimind.family import MiniMind
from harness.families.minimind.generations import V1, V2, V3, V

MINIMIND_V1_SMALL = MiniMind("minimind-v1-small", V1, d.V1_SMALL, d.V1_TINY, description="26M of August 2024")
MINIMIND_V1 = MiniMind("minimind-v1", V1, d.V1, d.V1_TINY, description="108M of August 2024")
MINIMIND_V1_MOE = MiniMind("minimind-v1-moe", V1, d.V1_MOE, d.V1_MOE_TINY, description="4 x 26M of August 2024")
MINIMIND_V2_SMALL = MiniMind("minimind-v2-small", V2, d.V2_SMALL, d.V2_TINY, description="26M of February 2025")
MINIMIND_V2 = MiniMind("minimind-v2", V2, d.V2, d.V2_TINY, description="104M of February 2025")
MINIMIND_V2_MOE = MiniMind("minimind-v2-moe", V2, d.V2_MOE, d.V2_MOE_TINY, description="145M of February 2025")
MINIMIND_V3 = MiniMind("minimind-v3", V3, d.V3, d.V3_TINY, description="64M, in names and shape like Qwen3")
MINIMIND_V3_MOE = MiniMind("minimind-v3-moe", V3, d.V3_MOE, d.V3_MOE_TINY, description="64M active of 198M")
_EYES = (d.SIGLIP2, d.TINY_VISION)
MINIMIND_3V = MiniMind("minimind-3v", V, d.V3, d.V3_TINY, _EYES, "MiniMind 3 64M and SigLIP2-B/32-256")
MINIMIND_3V_MOE = MiniMind("minimind-3v-moe", V, d.V3_MOE, d.V3_MOE_TINY, _EYES, "the same over 4 experts")

__all__ = [
    "MINIMIND_3V",
    "MINIMIND_3V_MOE",
    "MINIMIND_V1",
    "MINIMIND_V1_MOE",
    "MINIMIND_V1_SMALL",
    "MINIMIND_V2",
    "MINIMIND_V2_MOE",
    "MINIMIND_V2_SMALL",
    "MINIMIND_V3",
    "MINIMIND_V3_MOE",
    "MiniMind",
]
