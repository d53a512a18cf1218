"""Another tool beside this one: TrainCheck, on the same script, the same machine and in the same run."""
