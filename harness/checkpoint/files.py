"""The files that weights lie in where no library has a name for them."""

TRAINED = "trained.safetensors"  # what was trained and nothing else, to be laid over the base
NATIVE = "model.pth"  # a state dict written by torch.save
