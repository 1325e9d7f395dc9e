"""Low-rank adapters (Hu et al. 2022, "LoRA"): what an encoder learns is a small product beside each of its matrices.

The encoder itself stays as it is, so the optimiser keeps its moments of some per cent of the weights alone: what makes
an encoder trainable that would not fit the memory otherwise. What is saved is the sum, a network like any other.
"""

from torch import Tensor, nn

from model.data.recipe import Lora
from model.errors import INSTALL_TRAINING, FinSentryError, InputError


def adapt(encoder: nn.Module, lora: Lora) -> None:
    """Freezes `encoder` and puts a trainable adapter beside each target. Raises `InputError` for one it has not."""
    try:
        from peft import LoraConfig, inject_adapter_in_model  # a second to import, and few recipes ask for it
    except ImportError as error:
        raise FinSentryError("training.lora needs peft", fix=INSTALL_TRAINING) from error
    targets = find_targets(encoder, lora.targets)
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, bias="none"
    )
    inject_adapter_in_model(config, encoder)


def find_targets(encoder: nn.Module, wanted: tuple[str, ...]) -> list[str]:
    """Full names of the linear layers that end in one of `wanted`; of all but the unused pooler's where it is empty."""
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    for target in wanted:
        if not any(_ends_in(name, target) for name in linear):
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise InputError(
                f"training.lora.targets: this encoder has no linear layer {target!r}",
                fix=f"Name some of {', '.join(known)} (or the end of a longer name), or leave the key out for all.",
            )
    if not wanted:
        return [name for name in linear if not name.startswith("pooler.")]
    return [name for name in linear if any(_ends_in(name, target) for target in wanted)]


def merged(network: nn.Module) -> dict[str, Tensor]:
    """The weights of `network` without adapters: each product is added to the matrix beside which it stands.

    `network` itself is left as it is, so its training can go on. Without adapters these are its weights.
    """
    weights = network.state_dict()
    if not any(".lora_" in name for name in weights):
        return weights
    from peft.tuners.lora import Linear

    plain = {name.replace(".base_layer.", "."): tensor for name, tensor in weights.items() if ".lora_" not in name}
    for name, module in network.named_modules():
        if isinstance(module, Linear):
            for adapter in module.active_adapters:
                plain[f"{name}.weight"] = plain[f"{name}.weight"] + module.get_delta_weight(adapter).detach()
    return plain


def _ends_in(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
