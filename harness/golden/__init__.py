"""Layer 3. Goldens: what a recipe's run was and what it saved, pinned once, and held against today's run and libraries.

A golden is one archive of plain files; `goldens.json` beside the archives says which there are. Nothing else counts, so
that replacing that one file replaces any number of goldens at once.
"""
