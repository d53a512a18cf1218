"""Layer 3. From recipes to evidence: plans what has to be made, has workers make it, keeps and judges what came out."""
