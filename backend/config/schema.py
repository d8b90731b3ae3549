"""Every option of LoRA Loom, declared once; names and meanings are musubi-tuner's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from backend.config.options import OptionGroup, StepsOrRatio, option

_DTYPE_ALIASES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "float": "float32"}


def _full_dtype_name(value: Any) -> Any:
    """musubi-tuner takes both the short and the full names."""
    return _DTYPE_ALIASES.get(value, value) if isinstance(value, str) else value


def _short_module_name(value: object) -> object:
    return value.removeprefix("musubi_tuner.") if isinstance(value, str) else value


NetworkModule = Annotated[Literal["networks.lora"], BeforeValidator(_short_module_name)]
Dtype = Annotated[Literal["float16", "bfloat16", "float32"], BeforeValidator(_full_dtype_name)]


class ModelOptions(OptionGroup):
    """Model"""

    dit: str | None = option(None, label="Transformer (DiT)", basic=True, path="file")
    """Weights of the HunyuanVideo transformer, .safetensors or the released .pt; the LoRA is trained for these."""

    vae: str | None = option(None, label="Video autoencoder (VAE)", basic=True, path="file")
    """Weights of the HunyuanVideo VAE; needed to cache latents."""

    text_encoder1: str | None = option(None, label="Text encoder 1 (Llama)", basic=True, path="file or folder")
    """The Llama language model, a folder or a .safetensors file with its tokenizer beside it; needed to cache text."""

    text_encoder2: str | None = option(None, label="Text encoder 2 (CLIP-L)", basic=True, path="file or folder")
    """The CLIP-L text model, a folder or a .safetensors file with its tokenizer beside it; needed to cache text."""

    dit_dtype: Dtype | None = option(None, label="Transformer dtype")
    """Type in which the frozen transformer is held. Empty: float32 without mixed precision, else bfloat16."""

    vae_dtype: Dtype = option("float16", label="VAE dtype")
    """Type in which the VAE runs, and type of the cached latents. On a CPU float32 is much faster."""

    text_encoder_dtype: Dtype = option("float16", label="Text encoder dtype")
    """Type in which the text encoders run, and type of the cached text outputs. On a CPU float32 is much faster."""


class DatasetOptions(OptionGroup):
    """Dataset"""

    dataset_config: str | None = option(None, label="Dataset file", basic=True, path="file")
    """The dataset TOML that names the folders of photos and clips, their resolution, repeats and batch size."""


class CachingOptions(OptionGroup):
    """Caching"""

    device: str | None = option(None, label="Device")
    """Where the VAE and the text encoders run, such as cuda, cuda:1 or cpu. Empty: a GPU if there is one."""

    batch_size: int | None = option(None, label="Batch size", unit="items", ge=1)
    """Items encoded at once. Empty: the batch size of the dataset."""

    skip_existing: bool = option(False, label="Skip existing")
    """Leave items alone whose cache file exists and is whole; otherwise all are made anew."""


class NetworkOptions(OptionGroup):
    """LoRA network"""

    network_module: NetworkModule = option("networks.lora", label="Network module")
    """Kind of network to train."""

    network_dim: int = option(32, label="Rank", basic=True, ge=1)
    """Rank of the LoRA matrices. A higher rank learns more detail and makes a larger file."""

    network_alpha: float = option(1.0, label="Alpha", basic=True, ge=0)
    """Strength of the learned change: the scale is alpha / rank. 0 means alpha = rank, a scale of 1."""

    network_dropout: float | None = option(None, label="Dropout", ge=0, lt=1)
    """Part of the LoRA's inner values that is dropped at random in each training step. Empty: none."""

    loraplus_lr_ratio: float | None = option(None, label="LoRA+ ratio", basic=True, gt=0, network_arg=True)
    """The up matrices learn this many times faster than the down matrices (LoRA+). Empty: the same rate for both."""

    exclude_patterns: list[str] = option([], label="Exclude patterns", basic=True, network_arg=True)
    """Regular expressions; modules whose whole name matches one are not trained, unless an include pattern rescues
    them. The modulation layers are always excluded unless included."""

    include_patterns: list[str] = option([], label="Include patterns", basic=True, network_arg=True)
    """Regular expressions; modules whose whole name matches one are trained although they are excluded. To train
    only some modules, exclude .* and include those."""

    verbose: bool = option(False, label="List modules in the log", network_arg=True)
    """Write the name of every trained and skipped module to the log."""


class OptimizerOptions(OptionGroup):
    """Optimizer"""

    optimizer_type: Literal["adamw"] = option("adamw", label="Optimizer")
    """The algorithm that turns gradients into changes of the LoRA."""

    optimizer_args: list[str] = option([], label="Optimizer arguments")
    """Further arguments of the optimizer as name=value, such as weight_decay=0.1 or betas=0.9,0.99."""

    learning_rate: float = option(2e-4, label="Learning rate", basic=True, gt=0)
    """Size of the optimizer's steps. Too high: samples break; too low: nothing is learned."""

    max_grad_norm: float = option(1.0, label="Gradient norm limit", ge=0)
    """Gradients longer than this are shortened to it. 0 means no limit."""


class ScheduleOptions(OptionGroup):
    """Schedule"""

    max_train_steps: int = option(1600, label="Steps", unit="optimizer steps", basic=True, ge=1)
    """Length of the training. Not used when a number of epochs is given."""

    max_train_epochs: int | None = option(None, label="Epochs", unit="epochs", basic=True, ge=1)
    """Length of the training as passes over the whole dataset; overrides the number of steps."""

    gradient_accumulation_steps: int = option(1, label="Gradient accumulation", unit="batches", ge=1)
    """Batches whose gradients are averaged before each optimizer step."""

    lr_scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine"] = option(
        "constant", label="Learning rate schedule"
    )
    """How the learning rate changes during training."""

    lr_warmup_steps: StepsOrRatio = option(0, label="Warm-up", unit="steps, ratio or %", ge=0)
    """Steps in which the learning rate rises from 0: a number of steps, or a part of all steps such as 0.1 or 10%."""

    seed: int | None = option(None, label="Seed", ge=0, lt=2**32)
    """Start of all random numbers; the same seed gives the same training. Empty: a random one, which is recorded."""


class TimestepOptions(OptionGroup):
    """Timesteps and loss"""

    timestep_sampling: Literal["sigma", "uniform", "sigmoid", "shift"] = option(
        "sigma", label="Timestep sampling", basic=True
    )
    """How noise levels are drawn. shift with a flow shift of 7 is the usual choice for HunyuanVideo."""

    discrete_flow_shift: float = option(1.0, label="Flow shift", basic=True, gt=0)
    """Pushes the drawn noise levels towards more noise; used by the sampling method shift only."""

    sigmoid_scale: float = option(1.0, label="Sigmoid scale", gt=0)
    """Width of the drawn distribution, used by sigmoid and shift; larger means more very clean and very noisy steps."""

    weighting_scheme: Literal["none", "sigma_sqrt", "cosmap"] = option("none", label="Loss weighting")
    """Weight of each noise level in the loss."""

    guidance_scale: float = option(1.0, label="Guidance", ge=0)
    """Value fed to the transformer's guidance embedding while training. It is used as it stands: 1 is what
    HunyuanVideo LoRAs are commonly trained with."""


class MemoryOptions(OptionGroup):
    """Memory and speed"""

    mixed_precision: Literal["no", "fp16", "bf16"] = option("bf16", label="Mixed precision", basic=True)
    """Type in which the transformer computes. bf16 for GPUs since 2020, no (float32) for a CPU."""

    gradient_checkpointing: bool = option(False, label="Gradient checkpointing", basic=True)
    """Compute each block a second time in the backward pass instead of keeping its activations: far less memory,
    about a third more time."""

    sdpa: bool = option(True, label="SDPA attention")
    """Attention by PyTorch's scaled_dot_product_attention, the one backend there is so far."""


class SavingOptions(OptionGroup):
    """Saving"""

    output_dir: str | None = option(None, label="Output folder", basic=True, path="folder")
    """Where LoRA files are saved. Empty: the folder checkpoints of the run."""

    output_name: str = option("lora", label="Output name", basic=True)
    """Name of the LoRA file, without folder and ending."""

    save_every_n_epochs: int | None = option(None, label="Save every n epochs", unit="epochs", ge=1)
    """Also save at the end of every n-th epoch."""

    save_every_n_steps: int | None = option(None, label="Save every n steps", unit="optimizer steps", ge=1)
    """Also save after every n-th step."""

    save_precision: Literal["float", "fp32", "fp16", "bf16"] = option("fp32", label="Save precision")
    """Type of the numbers in the LoRA file. bf16 halves the file and loses nothing that can be seen."""


class LoggingOptions(OptionGroup):
    """Logging"""

    logging_dir: str | None = option(None, label="Log folder", path="folder")
    """Where TensorBoard's event files go, a folder for each run. Empty: the workspace's logs, shown in the page."""

    log_with: Literal["tensorboard", "wandb", "all"] = option("tensorboard", label="Log with")
    """Where losses and learning rates are logged: TensorBoard, Weights & Biases (wandb), or both."""

    log_prefix: str | None = option(None, label="Log prefix")
    """Put before the time in the name of the run's log folder."""

    log_tracker_name: str | None = option(None, label="Tracker name")
    """Name of the logged project: a sub-folder for TensorBoard, the project for wandb. Empty: network_train."""


class MetadataOptions(OptionGroup):
    """Metadata"""

    training_comment: str | None = option(None, label="Comment")
    """A note that is kept in the LoRA file."""


GROUPS: dict[str, type[OptionGroup]] = {
    "model": ModelOptions,
    "dataset": DatasetOptions,
    "caching": CachingOptions,
    "network": NetworkOptions,
    "optimizer": OptimizerOptions,
    "schedule": ScheduleOptions,
    "timesteps": TimestepOptions,
    "memory": MemoryOptions,
    "saving": SavingOptions,
    "logging": LoggingOptions,
    "metadata": MetadataOptions,
}
"""The groups in the order of the form; the key is the attribute of `Configuration` and the table of the TOML."""
