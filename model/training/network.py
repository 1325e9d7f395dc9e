"""The network: one encoder, mean pooling, a topic head and a sentiment head."""

from hashlib import sha256
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from model.errors import InputError
from model.labels import SENTIMENTS, TOPICS
from model.training.encoders import keep_layers, require_kind
from model.training.lora import merged

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"


class TwoHeads(nn.Module):
    """Token ids (batch x length) to topic logits (batch x 20) and sentiment logits (batch x 3)."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.topic = nn.Linear(encoder.config.hidden_size, len(TOPICS))
        self.sentiment = nn.Linear(encoder.config.hidden_size, len(SENTIMENTS))

    @classmethod
    def pretrained(cls, folder: Path, layers: int | None = None) -> Self:
        """A pretrained encoder, or its first `layers`, with untrained heads. Loads nothing from afar.

        Raises `InputError`.
        """
        try:
            require_kind(AutoConfig.from_pretrained(folder, local_files_only=True), folder)
            # Fused attention where the kind has it; float32, whatever it was published in.
            encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{folder}: the encoder cannot be loaded: {error}", fix="Fetch or install the encoder again."
            ) from error
        if layers is not None:
            keep_layers(encoder, layers)
        return cls(encoder)

    @classmethod
    def load(cls, run: Path) -> Self:
        """What `save` wrote, with plain attention: the form that exports to operators which ONNX Runtime fuses."""
        if not (run / WEIGHTS_FILE).is_file():
            raise InputError(
                f"{run}: no trained network here",
                fix="Train one: finsentry train RECIPE --data FOLDER --out RUN.",
            )
        try:
            config = AutoConfig.from_pretrained(run, local_files_only=True)
            network = cls(AutoModel.from_config(config, attn_implementation="eager"))
            network.load_state_dict(load_file(run / WEIGHTS_FILE))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{run / WEIGHTS_FILE}: cannot be loaded: {error}",
                fix="Its training may have been killed while it wrote: go on with `finsentry train --resume`.",
            ) from error
        return network.eval()

    def digest(self) -> str:
        """16 hex digits of the encoder's weights, whatever kind of file they came in, and of no other part.

        A pooler counts for nothing: it is not read, and where the file has none it is drawn by chance.
        """
        found = sha256()
        for name, weight in sorted(self.encoder.state_dict().items()):
            if not name.startswith("pooler."):
                found.update(f"{name} {tuple(weight.shape)}\n".encode())
                found.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def save(self, run: Path) -> None:
        """Writes the network to `run`; adapters are added to the weights beside which they stand."""
        self.encoder.config.save_pretrained(run)
        save_file({name: tensor.cpu().contiguous() for name, tensor in merged(self).items()}, run / WEIGHTS_FILE)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = self.dropout((states * mask).sum(dim=1) / mask.sum(dim=1))
        return self.topic(pooled), self.sentiment(pooled)
