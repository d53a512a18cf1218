"""Layer 0. Importing this makes torchvision usable as far as it can be: what imports transformers imports it first."""

from __future__ import annotations

from harness import vision_transforms

vision_transforms.available()
