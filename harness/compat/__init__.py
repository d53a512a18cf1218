"""Layer 3. What one stack of libraries saves, loaded under another: each pair, and which version is to blame.

A stack's processes are warm parents of their own with the stack's layer on PYTHONPATH. All that they hand over are the
files of a run; what those say is compared here, under the installed libraries, which nobody imports.
"""
