"""The checks that are made of a saved directory: a closed list."""

from __future__ import annotations

NAMES = {
    "inspect.readable": "every file can be read: headers of weights describe their data, configurations are JSON",
    "inspect.shards": "shards and their index agree, no tensor is in two files, total_size is the tensors' own",
    "inspect.files": "every file that the base or its own type has: tokenizer, processor, chat template, and so on",
    "inspect.code": "the code files that its configurations name are there and can be read",
    "inspect.model": "it is a model of its base's type",
    "inspect.keys": "it holds every tensor that its base holds or its configuration promises, and no other",
    "inspect.names": "its tensors bear the names that they have in the base",
    "inspect.shapes": "its tensors have the shapes of the base, or those that its configuration promises",
    "inspect.configuration": "rows, columns and layers are as many as its configuration says",
    "inspect.dtypes": "a component has one dtype, and it is the one that its configuration says",
    "inspect.ties": "tied weights are one tensor, and untied ones are two",
    "inspect.vocabulary": "there is a row for every token, and configuration and tokenizer mean the same ones",
    "inspect.processor": "processor and image processor are of the class that its type has",
    "inspect.chat_template": "its chat template is the base's",
    "inspect.adapter": "every tensor of an adapter finds its module in the base, and its targets meet some",
    "inspect.ranks": "the adapter's tensors have the ranks that its configuration says",
    "inspect.beside": "what is to be saved beside an adapter is: modules_to_save, embeddings that grew",
    "inspect.base": "the adapter names the base that it was given",
    "inspect.values": "every value is a finite number; read only where hashes are asked for",
}
