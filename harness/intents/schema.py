"""The JSON Schema of an intent file, for editors and for whoever writes them by program."""

from __future__ import annotations

from typing import Any

from harness.intents.file import NO_ADAPTERS, IntentFile

# What may be written in short: a setting, and the schema of its short form.
SHORT: dict[str, dict[str, Any]] = {
    "adapters": {"anyOf": [{"const": NO_ADAPTERS}, {"const": False}, {"type": "string"}]},
    "save": {"type": "string"},
}


def intent_schema() -> dict[str, Any]:
    """A schema of a file with one intent in the user's words."""
    schema = IntentFile.model_json_schema()
    for name, short in SHORT.items():
        schema["properties"][name]["anyOf"].append(short)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "harness intent"}
