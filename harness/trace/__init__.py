"""Layer 0. The trace: the record of one run, written by the recorder and read by the checks.

A trace is a directory::

    header.json            recipe, intent, environment, data digest; format version
    rank-N/events.jsonl    one stream per process, append-only, flushed at each optimizer step
    rank-N/arrays-*.safetensors
    reload/                the stream of the process that loaded what was saved
    outcome.json           how the process ended, seen from outside
    measured.json          times, memory, rates: all that differs between two equal runs

`writer` and `fingerprint` need torch and the standard library alone, so that they can enter old environments;
`reader` needs numpy and no torch.
"""
