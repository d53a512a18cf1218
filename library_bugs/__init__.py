"""Released bugs of libraries, and whether the harness sees them: in the versions that have each, and in those that have
it no more.

`python -m library_bugs [NAME...]` (or `nox -s library_bugs`) makes what bugs.yaml asks for, each version in a layer of
its own over one torch, and says what came of it: in a broken version a check that is meant for it must fail, in a good
one nothing may.
"""
