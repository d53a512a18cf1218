"""What keeps the recorder out of a script's way: its own exceptions end where they began, and are said."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from harness.recording.patches import compiling

Lost = Callable[[str, Exception], None]
AREAS = {
    "load_state_dict": "loads",
    "load": "loads",
    "load_file": "loads",
    "from_pretrained": "loads",
    "save": "saves",
    "save_file": "saves",
    "save_pretrained": "saves",
    "__next__": "samples",
    "backward": "gradients",
    "clip_grad_norm_": "gradients",
    "zero_grad": "gradients",
}
"""What is no longer known of a run, by the operation at which sight was lost; `steps` for any other."""


SAID = 20  # times, of one kind of error in one area


class LostSight:
    """The recorder could not follow: which part of the run is known no longer, and why."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._times: dict[tuple[str, str], int] = {}

    def __call__(self, area: str, error: Exception) -> None:
        kind = (area, type(error).__name__)
        self._times[kind] = self._times.get(kind, 0) + 1
        if self._times[kind] <= SAID:
            self._say(area=area, error=kind[1], message=" ".join(str(error).split())[:300])


class Guard:
    """Catches what goes wrong in the recorder, and tells it on."""

    def __init__(self, lost: Lost) -> None:
        self._lost = lost

    def around(self, wrapper: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The wrapper of an operation, such that the operation is made once whatever the wrapper does, and only the
        operation's own exceptions come out."""

        @functools.wraps(wrapper)
        def guarded(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if compiling():
                return original(*args, **kwargs)
            once = _Once(original)
            try:
                return wrapper(once, *args, **kwargs)
            except Exception as error:
                if once.raised is error:
                    raise
                self._lost(AREAS.get(name, "steps"), error)
            if once.raised is not None:
                raise once.raised
            return once.result if once.done else original(*args, **kwargs)

        return guarded

    @contextlib.contextmanager
    def __call__(self, area: str) -> Iterator[None]:
        """Nothing raised inside comes out."""
        try:
            yield
        except Exception as error:
            self._lost(area, error)


class _Once:
    """An operation that remembers what came of it."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original
        self.done, self.result = False, None
        self.raised: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            self.result = self._original(*args, **kwargs)
        except BaseException as error:
            self.raised = error
            raise
        self.done = True
        return self.result
