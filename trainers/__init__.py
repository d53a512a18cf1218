"""Real trainers under `harness trace`: each installed in an environment of its own, run as its users run it.

`python -m trainers [NAME...]` (or `nox -s trainers`) makes what trainers.yaml asks for and says what came of each case:
two healthy runs that must be silent, and three defects that must be caught.
"""
