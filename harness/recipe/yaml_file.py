"""YAML files written by hand: read safely, and refused in one line where they are not what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from harness.refusal import Refused

_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice: YAML itself would keep the last, silently.

    Looked at where a mapping is composed, for merging (`<<`) later puts the keys of others into it.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return node


def read_yaml(path: Path, kind: str) -> Any:
    """What a YAML file of some kind holds. Raises Refused, in one line, for a file that is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        do = f"name an existing {kind} file"
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do=do) from None
    except UnicodeDecodeError:
        raise Refused("is not YAML: it is not text", where=str(path), do=f"name an existing {kind} file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise Refused(f"is not YAML{line}: {problem}", where=str(path), do="mend the file") from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # a value that its tag does not fit
        raise Refused(f"is not YAML: {error}", where=str(path), do="mend the file, or quote the value") from None
    except RecursionError:
        raise Refused("is not YAML: it is nested too deep", where=str(path), do="mend the file") from None
