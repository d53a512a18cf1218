"""Layer 2, making side. Loads a directory as a stranger would: public Auto classes, and nothing of the families.

`jobs` runs in a process that has imported torch, transformers and peft only. What it needs to know about the run comes
as plain files: the directory, the inputs, where to write.
"""
