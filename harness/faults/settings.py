"""Faults in the settings that a run goes on with."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.where import saves_whole
from harness.seams import Moment, Seam

OTHERS = {
    "vision_feature_layer": -1,
    "mm_vision_select_layer": -1,
    "initializer_range": 0.5,
    "max_position_embeddings": 4095,
    "rope_theta": 9999.0,
}
"""By setting, what it falls back to: the first that a configuration has, or that of its text model."""


@fault(
    Seam.AFTER_BUILD,
    caught_by="settings_kept",
    finding="SettingChanged",
    size="one setting",
    applies=saves_whole,
)
def one_setting_falls_back_to_a_default(model: Any, moment: Moment) -> None:
    """A trainer that is not told of a setting writes its own default over the checkpoint's."""
    holders = [model.config, getattr(model.config, "text_config", None)]
    config, name = next((config, name) for config in holders for name in OTHERS if hasattr(config, name))
    setattr(config, name, OTHERS[name])
