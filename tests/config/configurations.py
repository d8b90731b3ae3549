"""Random configurations, for tests that something gives the same one again."""

from hypothesis import strategies as st

from backend.config.configuration import all_options

_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
_awkward_texts = st.sampled_from(
    [
        "C:\\xampp\\new models\\ü.safetensors",
        "a = b # c",
        'says "hi"',
        "it's",
        "--x",
        "-1",
        "{}[],",
        "日本語",
        "\\",
        "%",
    ]
)
_patterns = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
    | st.sampled_from([r".*single_blocks\.\d+.*", "(?=x)=y", "[',']", 'a"b', "it's", "a\\", ","])
)
_BY_NAME = {
    "output_name": st.sampled_from(["lora", "my lora", "日本語", "it's v1.0", "-x"]),
    "log_prefix": st.none() | st.sampled_from(["kü_", "a ", "x"]),
    "log_tracker_name": st.none() | st.sampled_from(["my project", "日本語"]),
    "optimizer_args": st.lists(st.sampled_from(["weight_decay=0.1", "betas=0.9,0.99", "mode='a=\"b\"'"]), unique=True),
    "lr_scheduler": st.just("linear"),  # goes with any warm-up
    "lr_warmup_steps": st.integers(0, 10**6) | st.floats(0, 1, exclude_min=True) | st.just(1.0),
    "sdpa": st.just(True),
    "seed": st.none() | st.integers(0, 2**32 - 1),
    "network_dropout": st.none() | st.floats(0, 1, exclude_max=True),
    "loraplus_lr_ratio": st.none() | st.floats(1e-6, 1e6),
}


def _values_of(declared):
    if declared.name in _BY_NAME:
        return _BY_NAME[declared.name]
    values = {
        "flag": st.booleans(),
        "integer": st.integers(1, 10**6),
        "number": st.floats(1e-9, 1e9),
        "choice": st.sampled_from(declared.choices or ("",)),
        "text": _texts | _awkward_texts,
        "list": _patterns,
    }[declared.kind]
    return st.none() | values if declared.optional else values


some_values = st.fixed_dictionaries(
    {}, optional={name: _values_of(declared) for name, declared in all_options().items()}
)
"""Values for some options, each by itself and all together allowed."""
