"""Layer 3. Intent files: a few lines on what a run was meant to do, read, applied to a trace, drafted from one."""

from harness.intents.applying import applied
from harness.intents.file import IntentFile
from harness.intents.judged_by import in_header, judged_by, loader_of, trusts_code
from harness.intents.naming import naming_said
from harness.intents.reading import Promise, intent_from, intents_of, read_intent

__all__ = [
    "IntentFile",
    "Promise",
    "applied",
    "in_header",
    "intent_from",
    "intents_of",
    "judged_by",
    "loader_of",
    "naming_said",
    "read_intent",
    "trusts_code",
]
