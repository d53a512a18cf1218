"""The code that MiniMind's directories bring along, written anew: one file for each generation, as upstream has it."""
