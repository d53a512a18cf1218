"""Layer 0. Where things lie in the folder of a run, or of a base that is verified."""

SAVED = "saved"  # what the run saved
RELOAD = "reload"  # the request for the process that loads it
REQUEST = "request.json"
INPUTS = "inputs.safetensors"
STREAM = "stream"  # what the process that verified a base has written
INVENTORY = "inventory.json"  # what a base holds, by key and by role
MODULES = "modules"  # where code files of model directories are copied before they run
NATIVE = "model.pth"  # a state dict written by torch.save, where the recipe has no name for it
