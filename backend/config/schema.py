"""Every option of LoRA Loom, declared once; names and meanings are musubi-tuner's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from backend.config.needs import given, one_of, without
from backend.config.options import OptionGroup, StepsOrRatio, option

_DTYPE_ALIASES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "float": "float32"}


def _full_dtype_name(value: Any) -> Any:
    """musubi-tuner takes both the short and the full names."""
    return _DTYPE_ALIASES.get(value, value) if isinstance(value, str) else value


def _short_module_name(value: object) -> object:
    return value.removeprefix("musubi_tuner.") if isinstance(value, str) else value


def _upper_case(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LRScheduler = Literal[
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "inverse_sqrt",
    "warmup_stable_decay",
    "piecewise_constant",
    "rex",
]
TimestepSampling = Literal[
    "sigma",
    "uniform",
    "sigmoid",
    "shift",
    "flux_shift",
    "flux2_shift",
    "qwen_shift",
    "krea2_shift",
    "ideogram4_shift",
    "logsnr",
    "qinglong_flux",
    "qinglong_qwen",
]
NetworkModule = Annotated[
    Literal["networks.lora", "networks.loha", "networks.lokr"], BeforeValidator(_short_module_name)
]
DynamoBackend = Annotated[
    Literal[
        "NO",
        "EAGER",
        "AOT_EAGER",
        "INDUCTOR",
        "AOT_TS_NVFUSER",
        "NVPRIMS_NVFUSER",
        "CUDAGRAPHS",
        "OFI",
        "FX2TRT",
        "ONNXRT",
        "TENSORRT",
        "AOT_TORCHXLA_TRACE_ONCE",
        "TVM",
    ],
    BeforeValidator(_upper_case),
]
"""Those that accelerate's launcher takes."""
Dtype = Annotated[Literal["float16", "bfloat16", "float32"], BeforeValidator(_full_dtype_name)]


OPTIMIZERS = (
    "adamw",
    "adamw8bit",
    "pagedadamw8bit",
    "lion",
    "lion8bit",
    "prodigy",
    "adafactor",
    "adamwschedulefree",
    "radamschedulefree",
)


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
    """Type in which the frozen transformer is held. Empty: the one that mixed precision computes in."""

    vae_dtype: Dtype = option("float16", label="VAE dtype")
    """Type in which the VAE runs, and type of the cached latents. On a CPU float32 is much faster."""

    text_encoder_dtype: Dtype = option("float16", label="Text encoder dtype")
    """Type in which the text encoders run, and type of the cached text outputs. On a CPU float32 is much faster."""

    fp8_llm: bool = option(False, label="Llama in 8 bits")
    """Keep the large weights of the Llama language model in 8 bits (e4m3): half its memory, slightly other states."""

    dit_in_channels: int | None = option(None, label="Input channels", ge=16, le=32)
    """16 for HunyuanVideo, 32 for models that continue a first picture (SkyReels I2V). Empty: as the transformer's file
    has it; a number is compared with it."""

    vae_tiling: bool = option(False, label="VAE in tiles")
    """Let the VAE work on overlapping tiles of the picture: far less memory, slightly other results."""

    vae_spatial_tile_sample_min_size: int | None = option(None, label="VAE tile size", unit="pixels", ge=32)
    """Side of the tiles, a multiple of 8; a number switches tiles on. Empty: 256."""

    vae_chunk_size: int | None = option(None, label="VAE chunk size", unit="columns", ge=1)
    """Let the VAE's convolutions work on so many columns at a time: less memory, the same results. Empty: on all."""


class DatasetOptions(OptionGroup):
    """Dataset"""

    dataset_config: str | None = option(None, label="Dataset file", basic=True, path="file")
    """The dataset TOML that names the folders of pictures and clips, their resolution, repeats and batch size."""

    max_data_loader_n_workers: int = option(8, label="Reading threads", unit="threads", ge=0)
    """Threads that read batches ahead, at most as many as the machine has cores. 0: each batch is read when its turn
    comes."""


class CachingOptions(OptionGroup):
    """Caching"""

    device: str | None = option(None, label="Device")
    """Where the VAE and the text encoders run, such as cuda, cuda:1 or cpu. Empty: a GPU if there is one."""

    batch_size: int | None = option(None, label="Batch size", unit="items", ge=1)
    """Items encoded at once. Empty: the batch size of the dataset."""

    skip_existing: bool = option(False, label="Skip existing")
    """Leave items alone whose cache file exists and is whole; otherwise all are made anew."""

    num_workers: int | None = option(None, label="Decoding threads", unit="threads", ge=1)
    """Threads that decode pictures and clips while others are encoded. Empty: the machine's cores but one."""

    disable_cudnn_backend: bool = option(False, label="Without cuDNN")
    """Encode without NVIDIA's cuDNN, which on some systems asks for more memory than there is."""


class NetworkOptions(OptionGroup):
    """LoRA network"""

    network_module: NetworkModule = option("networks.lora", label="Network module")
    """Kind of network to train. LoRA: two small matrices for each weight. LoHa: the elementwise product of two LoRAs,
    which can change a weight in more directions at the same size. LoKr: a Kronecker product, which makes much smaller
    files."""

    network_dim: int = option(32, label="Rank", basic=True, ge=1, needs=without("dim_from_weights"))
    """Rank of the matrices. A higher rank learns more detail and makes a larger file. Usual: 16 to 64 for LoRA, 4 to 16
    for LoHa, which learns about the square of it; a LoKr of a high rank keeps its larger matrix whole."""

    network_alpha: float = option(1.0, label="Alpha", basic=True, ge=0, needs=without("dim_from_weights"))
    """Strength of the learned change: the scale is alpha / rank. 0 means alpha = rank, a scale of 1."""

    factor: int = option(
        -1,
        label="LoKr factor",
        ge=-1,
        network_arg=True,
        needs=(one_of("network_module", "networks.lokr"), without("dim_from_weights")),
    )
    """Size of the smaller matrix of a LoKr, where it divides that of the weight: a small one such as 8 learns more and
    makes a larger file. -1: as balanced as can be, the smallest file. Not used by LoRA and LoHa."""

    conv_dim: int | None = option(None, label="Rank for convolutions", ge=1, network_arg=True)
    """Rank for convolutions. HunyuanVideo has none where networks are trained, so it changes nothing; it is kept for
    files that go both ways."""

    conv_alpha: float | None = option(None, label="Alpha for convolutions", ge=0, network_arg=True)
    """Alpha for convolutions; it changes nothing either."""

    network_dropout: float | None = option(
        None, label="Dropout", ge=0, lt=1, needs=one_of("network_module", "networks.lora")
    )
    """Part of the LoRA's inner values that is dropped at random in each training step. Empty: none. Not for LoHa and
    LoKr."""

    rank_dropout: float | None = option(None, label="Rank dropout", ge=0, lt=1, network_arg=True)
    """Part of the ranks that is dropped at random, for all tokens of an item alike; of LoHa and LoKr a part of the
    outputs, for a whole batch alike. Empty: none."""

    module_dropout: float | None = option(None, label="Module dropout", ge=0, lt=1, network_arg=True)
    """Chance that a module is left out of a training step. Empty: none is."""

    scale_weight_norms: float | None = option(None, label="Weight norm limit", ge=0)
    """After each step, modules whose change of the weights is larger than this norm are scaled down to it. Empty or 0:
    no limit. 1 is a common value."""

    loraplus_lr_ratio: float | None = option(
        None, label="LoRA+ ratio", basic=True, gt=0, network_arg=True, needs=one_of("network_module", "networks.lora")
    )
    """The up matrices learn this many times faster than the down matrices (LoRA+). Empty: the same rate for both. Not
    for LoHa and LoKr, which have no such matrices."""

    exclude_patterns: list[str] = option(
        [], label="Exclude patterns", basic=True, network_arg=True, needs=without("dim_from_weights")
    )
    """Regular expressions; modules whose whole name matches one are not trained, unless an include pattern rescues
    them. The modulation layers are always excluded unless included."""

    include_patterns: list[str] = option(
        [], label="Include patterns", basic=True, network_arg=True, needs=without("dim_from_weights")
    )
    """Regular expressions; modules whose whole name matches one are trained although they are excluded. To train
    only some modules, exclude .* and include those."""

    network_weights: str | None = option(None, label="Start weights", path="file")
    """A file to start from, of the kind that is trained, in place of an untrained network; its own alpha holds."""

    dim_from_weights: bool = option(False, label="Ranks from the start weights", needs=given("network_weights"))
    """Take modules, ranks, alphas and LoKr's factor from the start weights; the patterns, rank, alpha and factor above
    are not used."""

    base_weights: list[str] = option([], label="Merged LoRA files", path="file")
    """LoRA, LoHa and LoKr files that are added to the transformer before training; the new network learns what they
    lack."""

    base_weights_multiplier: list[float] = option(
        [], label="Strengths of the merged files", needs=given("base_weights")
    )
    """How strongly each of the merged LoRA files is added, one number a file; 1 where none is given."""

    verbose: bool = option(False, label="List modules in the log", network_arg=True)
    """Write the name of every trained and skipped module to the log."""


class OptimizerOptions(OptionGroup):
    """Optimizer"""

    optimizer_type: str = option("adamw", label="Optimizer", suggestions=OPTIMIZERS)
    """The algorithm that turns gradients into changes of the LoRA: a name of the list, a class of torch.optim, or a
    dotted path such as bitsandbytes.optim.PagedAdamW8bit. Other libraries than torch have to be installed."""

    optimizer_args: list[str] = option([], label="Optimizer arguments")
    """Further arguments of the optimizer as name=value, such as weight_decay=0.1 or betas=0.9,0.99."""

    learning_rate: float = option(
        2e-4,
        label="Learning rate",
        basic=True,
        gt=0,
        needs=without("optimizer_type", "adafactor", where=without("optimizer_args", "relative_step=False")),
    )
    """Size of the optimizer's steps. Too high: samples break; too low: nothing is learned."""

    max_grad_norm: float = option(1.0, label="Gradient norm limit", ge=0)
    """Gradients longer than this are shortened to it. 0 means no limit."""

    stop_after_nan_steps: int = option(5, label="Stop after failed steps", unit="optimizer steps", ge=1)
    """Steps whose loss or gradient is no number (NaN) change nothing; after so many of them in a row the training saves
    what it had learned before, and ends."""


class ScheduleOptions(OptionGroup):
    """Schedule"""

    max_train_steps: int = option(
        1600, label="Steps", unit="optimizer steps", basic=True, ge=1, needs=without("max_train_epochs")
    )
    """Length of the training. Not used when a number of epochs is given."""

    max_train_epochs: int | None = option(None, label="Epochs", unit="epochs", basic=True, ge=1)
    """Length of the training as passes over the whole dataset; overrides the number of steps."""

    gradient_accumulation_steps: int = option(1, label="Gradient accumulation", unit="batches", ge=1)
    """Batches whose gradients are averaged before each optimizer step."""

    lr_scheduler: LRScheduler = option("constant", label="Learning rate schedule", needs=without("lr_scheduler_type"))
    """How the learning rate changes during training."""

    lr_warmup_steps: StepsOrRatio = option(
        0,
        label="Warm-up",
        unit="steps, ratio or %",
        ge=0,
        needs=(without("lr_scheduler_type"), without("lr_scheduler", "constant", "piecewise_constant")),
    )
    """Steps in which the learning rate rises from 0: a number of steps, or a part of all steps such as 0.1 or 10%."""

    lr_decay_steps: StepsOrRatio = option(
        0,
        label="Decay",
        unit="steps, ratio or %",
        ge=0,
        needs=(without("lr_scheduler_type"), one_of("lr_scheduler", "warmup_stable_decay")),
    )
    """Steps at the end in which the learning rate falls; used by warmup_stable_decay only."""

    lr_scheduler_num_cycles: int = option(
        1,
        label="Cycles",
        ge=1,
        needs=(
            without("lr_scheduler_type"),
            one_of("lr_scheduler", "cosine_with_restarts", "cosine_with_min_lr", "warmup_stable_decay"),
        ),
    )
    """How often cosine_with_restarts starts again; half cosines of cosine_with_min_lr and warmup_stable_decay."""

    lr_scheduler_power: float = option(
        1.0, label="Power", gt=0, needs=(without("lr_scheduler_type"), one_of("lr_scheduler", "polynomial"))
    )
    """Bend of the schedule polynomial; 1 is a straight line."""

    lr_scheduler_timescale: int | None = option(
        None,
        label="Timescale",
        unit="optimizer steps",
        ge=1,
        needs=(without("lr_scheduler_type"), one_of("lr_scheduler", "inverse_sqrt")),
    )
    """Steps after which inverse_sqrt begins to fall. Empty: the warm-up, or 10000 without one."""

    lr_scheduler_min_lr_ratio: float | None = option(
        None,
        label="Lowest rate",
        unit="ratio",
        ge=0,
        le=1,
        needs=(
            without("lr_scheduler_type"),
            one_of("lr_scheduler", "cosine_with_min_lr", "warmup_stable_decay", "rex"),
        ),
    )
    """The lowest learning rate as a part of the full one, of cosine_with_min_lr, warmup_stable_decay and rex."""

    lr_scheduler_type: str | None = option(None, label="Schedule class")
    """A class of torch.optim.lr_scheduler, or a dotted path, in place of the schedule above."""

    lr_scheduler_args: list[str] = option(
        [],
        label="Schedule arguments",
        needs=one_of("lr_scheduler", "piecewise_constant", "rex", where=without("lr_scheduler_type")),
    )
    """Further arguments as name=value: step_rules="1:100,0.1" of piecewise_constant, rex_alpha and rex_beta of rex, or
    those of the schedule class."""

    seed: int | None = option(None, label="Seed", ge=0, lt=2**32)
    """Start of all random numbers; the same seed gives the same training. Empty: a random one, which is recorded."""


_LOGIT_NEEDS = (
    one_of("timestep_sampling", "sigma", "logsnr", "qinglong_flux"),
    one_of("weighting_scheme", "logit_normal", where=one_of("timestep_sampling", "sigma")),
)
"""A part of qinglong_flux is drawn as logsnr does."""


class TimestepOptions(OptionGroup):
    """Timesteps and loss"""

    timestep_sampling: TimestepSampling = option("sigma", label="Timestep sampling", basic=True)
    """How noise levels are drawn. shift with a flow shift of 7 is the usual choice for HunyuanVideo; logsnr learns
    styles; those named after other models go by the size of the picture."""

    discrete_flow_shift: float = option(
        1.0, label="Flow shift", basic=True, gt=0, needs=one_of("timestep_sampling", "shift")
    )
    """Pushes the drawn noise levels towards more noise; used by the sampling method shift only."""

    sigmoid_scale: float = option(
        1.0,
        label="Sigmoid scale",
        gt=0,
        needs=without("timestep_sampling", "sigma", "uniform", "logsnr", "ideogram4_shift"),
    )
    """Width of the drawn distribution, used by sigmoid and all shifts; larger means more very clean and very noisy
    steps."""

    weighting_scheme: Literal["none", "logit_normal", "mode", "cosmap", "sigma_sqrt"] = option(
        "none",
        label="Weighting",
        needs=one_of("timestep_sampling", "sigma", where=one_of("weighting_scheme", "logit_normal", "mode")),
    )
    """sigma_sqrt and cosmap weigh each noise level in the loss; logit_normal and mode only change how often the
    sampling method sigma draws it."""

    logit_mean: float = option(0.0, label="Logit mean", needs=_LOGIT_NEEDS)
    """Centre of the distribution of logit_normal, and of the log signal-to-noise ratio of logsnr."""

    logit_std: float = option(1.0, label="Logit width", gt=0, needs=_LOGIT_NEEDS)
    """Width of the distribution of logit_normal and logsnr."""

    mode_scale: float = option(
        1.29, label="Mode scale", needs=(one_of("timestep_sampling", "sigma"), one_of("weighting_scheme", "mode"))
    )
    """Strength of the weighting mode."""

    min_timestep: int | None = option(None, label="Lowest timestep", ge=0, le=999)
    """No noise level below this timestep is trained, 0 is clean. Empty: 0."""

    max_timestep: int | None = option(None, label="Highest timestep", ge=1, le=1000)
    """No noise level above this timestep is trained, 1000 is pure noise. Empty: 1000."""

    preserve_distribution_shape: bool = option(
        False,
        label="Cut off at the range",
        needs=given("min_timestep", where=one_of("max_timestep", "", "1000")),
    )
    """Draw again what lies outside lowest and highest timestep, in place of squeezing the whole distribution between
    them."""

    num_timestep_buckets: int | None = option(
        None, label="Timestep strata", ge=0, needs=without("timestep_sampling", "sigma")
    )
    """Draw the noise levels of an epoch evenly from so many equal parts, so that small datasets see all of them. Empty,
    0 or 1: each is drawn by itself. Not used by the sampling method sigma."""

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

    gradient_checkpointing_cpu_offload: bool = option(
        False, label="Block inputs in CPU memory", needs=given("gradient_checkpointing")
    )
    """Keep what gradient checkpointing keeps of each block in CPU memory instead of the GPU's. It pays for long clips;
    only together with gradient checkpointing."""

    fp8_base: bool = option(False, label="Weights in 8 bits")
    """Keep the large weights of the blocks in 8 bits (e4m3): half the memory of bf16, a little less exact."""

    fp8_scaled: bool = option(False, label="Weights in 8 bits, scaled")
    """Keep the large weights of the blocks in 8 bits with a scale for every 64 of them: as small as above, and more
    exact where weights are small."""

    blocks_to_swap: int | None = option(None, label="Blocks to swap", unit="blocks", basic=True, ge=0)
    """Keep the weights of so many blocks in CPU memory; they visit the GPU when they are used. Less GPU memory, slower
    steps. Counted as in musubi-tuner: half of them double blocks, and two single blocks for each of the rest, at most
    38 for the full-size model. Empty or 0: none."""

    use_pinned_memory_for_block_swap: bool = option(
        False, label="Pinned memory for swapped blocks", needs=given("blocks_to_swap")
    )
    """Lock the swapped weights in CPU memory, so that the GPU fetches them by itself while it computes. Faster, but
    the system cannot use that memory for anything else."""

    block_swap_ring_size: int = option(
        2, label="Swapped blocks on the GPU", unit="blocks", ge=1, needs=given("blocks_to_swap")
    )
    """Places on the GPU that swapped blocks take turns in, each as large as the largest of them. With 1 the GPU waits
    for each block; with 2 the next one comes while one is used."""

    img_in_txt_in_offloading: bool = option(False, label="Swap the embedders", needs=given("blocks_to_swap"))
    """Let the embedders of image and text visit the GPU as the swapped blocks do, in the same places: 0.6 GB less.
    Only together with blocks to swap."""

    compile: bool = option(False, label="Compile blocks")
    """Have torch compile the blocks when they first run: minutes at the start, faster steps after. It needs a C++
    compiler, on Windows also triton-windows."""

    compile_backend: str = option(
        "inductor", label="Compile backend", suggestions=("inductor", "cudagraphs"), needs=given("compile")
    )
    """Which of torch's compilers is used."""

    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = option(
        "default", label="Compile mode", needs=(given("compile"), one_of("compile_backend", "inductor"))
    )
    """How hard the compiler tries."""

    compile_dynamic: Literal["auto", "true", "false"] = option(
        "auto", label="Compile for any size", needs=given("compile")
    )
    """true: one program for all sizes; false: one for each bucket size and each length of a caption; auto: torch finds
    out."""

    compile_fullgraph: bool = option(False, label="Compile without breaks", needs=given("compile"))
    """Fail where a block cannot be compiled as a whole, in place of compiling its parts."""

    compile_cache_size_limit: int | None = option(
        None, label="Compiled programs kept", unit="programs", ge=1, needs=given("compile")
    )
    """Programs that are kept for each kind of block, such as one for each bucket size. Empty: torch's own number."""

    dynamo_backend: DynamoBackend = option("NO", label="Dynamo backend")
    """Have accelerate compile the whole transformer with this backend of torch, in place of its blocks (compile)."""

    dynamo_mode: Literal["default", "reduce-overhead", "max-autotune"] = option(
        "default", label="Dynamo mode", needs=one_of("dynamo_backend", "INDUCTOR")
    )
    """How hard the dynamo backend INDUCTOR tries."""

    cuda_allow_tf32: bool = option(False, label="TF32")
    """Let NVIDIA GPUs since 2020 compute float32 products in TF32: faster, less exact."""

    cuda_cudnn_benchmark: bool = option(False, label="cuDNN benchmark")
    """Let cuDNN try which of its methods is fastest for each size."""

    sdpa: bool = option(True, label="SDPA attention")
    """Attention by PyTorch's own scaled_dot_product_attention. On by itself unless another attention is chosen."""

    flash_attn: bool = option(False, label="FlashAttention 2")
    """Attention by the library flash-attn, which has to be installed. For NVIDIA GPUs since 2020, in fp16 or bf16."""

    xformers: bool = option(False, label="xFormers attention")
    """Attention by the library xformers, which has to be installed. For NVIDIA GPUs."""

    @model_validator(mode="after")
    def _sdpa_unless_another_is_chosen(self) -> MemoryOptions:
        if "sdpa" not in self.model_fields_set and (self.flash_attn or self.xformers):
            object.__setattr__(self, "sdpa", False)  # the group is frozen from here on
        return self


class SamplingOptions(OptionGroup):
    """Sampling"""

    sample_prompts: str | None = option(None, label="Prompt file", basic=True, path="file")
    """A .txt, .toml or .json file of prompts; samples are made of them while training."""

    sample_at_first: bool = option(False, label="Sample at first", needs=given("sample_prompts"))
    """Also make samples before the first step."""

    sample_every_n_steps: int | None = option(
        None, label="Sample every n steps", unit="optimizer steps", basic=True, ge=1, needs=given("sample_prompts")
    )
    """Make samples after every n-th step."""

    sample_every_n_epochs: int | None = option(
        None, label="Sample every n epochs", unit="epochs", basic=True, ge=1, needs=given("sample_prompts")
    )
    """Also make samples at the end of every n-th epoch."""


class SavingOptions(OptionGroup):
    """Saving"""

    output_dir: str | None = option(None, label="Output folder", basic=True, path="folder")
    """Where LoRA files are saved. Empty: the folder checkpoints of the run."""

    output_name: str = option("lora", label="Output name", basic=True)
    """Name of the LoRA file, without folder and ending."""

    overwrite: bool = option(False, label="Overwrite existing files", needs=given("output_dir"))
    """Let this training write over LoRA files and states of the same name in the output folder."""

    resume: str | None = option(None, label="Resume from", path="folder")
    """A state folder (NAME-state) of a training that is to go on exactly where it was."""

    save_every_n_epochs: int | None = option(None, label="Save every n epochs", unit="epochs", ge=1)
    """Also save at the end of every n-th epoch."""

    save_every_n_steps: int | None = option(None, label="Save every n steps", unit="optimizer steps", ge=1)
    """Also save after every n-th step."""

    save_last_n_epochs: int | None = option(
        None, label="Keep the last epochs", unit="files", ge=1, needs=given("save_every_n_epochs")
    )
    """Of the files saved at ends of epochs keep only so many. Empty: all."""

    save_last_n_steps: int | None = option(
        None, label="Keep the last steps", unit="optimizer steps", ge=1, needs=given("save_every_n_steps")
    )
    """Of the files saved after steps keep those that are at most so many steps old. Empty: all."""

    save_state: bool = option(False, label="Save states")
    """With each file also save the state, a folder from which training can go on exactly."""

    save_state_on_train_end: bool = option(False, label="Save the last state", needs=without("save_state"))
    """Save the state at the end of training, so that it can be made longer."""

    save_last_n_epochs_state: int | None = option(
        None,
        label="Keep the last epochs' states",
        unit="folders",
        ge=1,
        needs=(given("save_every_n_epochs"), given("save_state")),
    )
    """Of the states saved at ends of epochs keep only so many. Empty: as many as files."""

    save_last_n_steps_state: int | None = option(
        None,
        label="Keep the last steps' states",
        unit="optimizer steps",
        ge=1,
        needs=(given("save_every_n_steps"), given("save_state")),
    )
    """Of the states saved after steps keep those that are at most so many steps old. Empty: as the files."""

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

    log_config: bool = option(False, label="Log the options")
    """Show the options of the training beside its curves, as hyperparameters; paths of models and folders are left
    out."""

    wandb_run_name: str | None = option(None, label="Run name in wandb", needs=one_of("log_with", "wandb", "all"))
    """Name of the run in wandb. Empty: wandb makes one up."""

    wandb_tags: list[str] = option([], label="Tags in wandb", needs=one_of("log_with", "wandb", "all"))
    """Tags of the run in wandb."""

    wandb_offline: bool = option(False, label="wandb offline", needs=one_of("log_with", "wandb", "all"))
    """Keep wandb's data on this machine, without a login, until they are synced from Monitor or with wandb sync."""

    log_tracker_config: str | None = option(None, label="Tracker settings", path="file")
    """A TOML file with a table [wandb] or [tensorboard] of further settings for it, such as entity or tags."""


class MetadataOptions(OptionGroup):
    """Metadata"""

    training_comment: str | None = option(None, label="Comment", needs=without("no_metadata"))
    """A note that is kept in the LoRA file."""

    metadata_title: str | None = option(None, label="Title")
    """Title of the LoRA in its file. Empty: the output name."""

    metadata_author: str | None = option(None, label="Author")
    """Who made the LoRA, kept in its file."""

    metadata_description: str | None = option(None, label="Description")
    """What the LoRA does, kept in its file."""

    metadata_license: str | None = option(None, label="Licence")
    """Under which licence the LoRA may be used, kept in its file."""

    metadata_tags: str | None = option(None, label="Tags")
    """Words to find the LoRA by, separated by commas, kept in its file."""

    metadata_reso: str | None = option(None, label="Resolution told")
    """The resolution that the file tells, as width,height or one number. Empty: 1280x720."""

    metadata_arch: str | None = option(None, label="Architecture told")
    """The model family that the file tells. Empty: hunyuan-video."""

    no_metadata: bool = option(False, label="Keep the training to myself")
    """Write nothing about the training into the LoRA file but what is needed to use it."""


class HuggingFaceOptions(OptionGroup):
    """Hugging Face"""

    huggingface_repo_id: str | None = option(None, label="Repository")
    """OWNER/NAME of a repository on Hugging Face to which everything saved is uploaded; it is made where it is missing.
    The token is read from HF_TOKEN or from the workspace's secrets.toml."""

    huggingface_repo_type: Literal["model", "dataset", "space"] = option(
        "model", label="Kind of repository", needs=given("huggingface_repo_id")
    )
    """What the repository is."""

    huggingface_path_in_repo: str | None = option(
        None, label="Folder in the repository", needs=given("huggingface_repo_id")
    )
    """Where in the repository the files go. Empty: to its top."""

    huggingface_repo_visibility: Literal["private", "public"] = option(
        "private", label="Visibility", needs=given("huggingface_repo_id")
    )
    """Who can see the repository if it is made now."""

    save_state_to_huggingface: bool = option(False, label="Upload states", needs=given("huggingface_repo_id"))
    """Upload saved states too."""

    resume_from_huggingface: bool = option(False, label="Resume from the repository", needs=given("resume"))
    """Take the state to resume from (resume) from Hugging Face: OWNER/NAME/FOLDER[:REVISION[:KIND]]."""

    async_upload: bool = option(False, label="Upload in the background", needs=given("huggingface_repo_id"))
    """Go on training while files are uploaded; the last file is waited for."""


_DDP_NEEDS = (without("num_processes", "1"), without("accelerate_config_file"))
"""With base weights that are split, gradients are exchanged in another way."""


class MachineOptions(OptionGroup):
    """Machines"""

    num_processes: int = option(1, label="Processes", unit="processes", ge=1)
    """Training processes on all machines together, one for each GPU. Each accumulates for itself, so two train like one
    with twice the gradient accumulation."""

    num_machines: int = option(1, label="Machines", unit="machines", ge=1)
    """Computers that train together; the training is started on each of them with the same options but its number."""

    machine_rank: int = option(0, label="Number of this machine", ge=0, needs=without("num_machines", "1"))
    """0 for the machine that saves the files, 1 for the next, and so on."""

    main_process_ip: str | None = option(None, label="Address of machine 0", needs=without("num_machines", "1"))
    """Where the other machines find machine 0, which they have to reach. Needed with several machines."""

    main_process_port: int | None = option(
        None, label="Port of machine 0", ge=1, le=65535, needs=without("num_processes", "1")
    )
    """The port on machine 0. Empty: 29500 with several machines, else any that is free."""

    gpu_ids: str | None = option(None, label="GPUs")
    """The GPUs of this machine to use, such as 0,1. Empty: as many as there are processes, from the first on."""

    accelerate_config_file: str | None = option(
        None, label="FSDP settings", path="file", needs=without("num_processes", "1")
    )
    """A file made by `accelerate config` for FSDP: the base weights are then split over the processes, so that each GPU
    holds a part. Everything else in it is passed over; the options here hold."""

    num_cpu_threads_per_process: int | None = option(None, label="CPU threads", unit="threads", ge=1)
    """Threads of each process for computing on the CPU. Empty: the cores of the machine, divided by its processes."""

    ddp_timeout: int | None = option(
        None, label="Timeout between processes", unit="minutes", ge=0, needs=without("num_processes", "1")
    )
    """How long processes wait for each other before the training fails. Empty or 0: torch's own time."""

    ddp_gradient_as_bucket_view: bool = option(False, label="Gradients as views", needs=_DDP_NEEDS)
    """Let processes exchange gradients without a copy of their own; saves a little memory."""

    ddp_static_graph: bool = option(False, label="Static graph", needs=_DDP_NEEDS)
    """Promise that every step uses the same modules, which saves a little time. Not with module dropout."""


GROUPS: dict[str, type[OptionGroup]] = {
    "model": ModelOptions,
    "dataset": DatasetOptions,
    "caching": CachingOptions,
    "network": NetworkOptions,
    "optimizer": OptimizerOptions,
    "schedule": ScheduleOptions,
    "timesteps": TimestepOptions,
    "memory": MemoryOptions,
    "sampling": SamplingOptions,
    "saving": SavingOptions,
    "logging": LoggingOptions,
    "metadata": MetadataOptions,
    "huggingface": HuggingFaceOptions,
    "machines": MachineOptions,
}
"""The groups in the order of the form; the key is the attribute of `Configuration` and the table of the TOML."""
