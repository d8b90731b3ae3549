"""Prompt files in their three forms."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config.sample_prompts import SamplePrompt, check_images, format_line, parse_line, read_prompts
from backend.errors import OptionError


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_has_a_prompt_and_options_behind_it():
    prompt = parse_line(
        "A cat, walking. --w 640 --h 480 --f 25 --d 7 --s 30 --g 5.5 --fs 7 --l 2.5 --n blurry, dark --i a b.png"
    )
    assert prompt == SamplePrompt(
        prompt="A cat, walking.", width=640, height=480, frame_count=25, seed=7, sample_steps=30, guidance_scale=5.5,
        discrete_flow_shift=7, cfg_scale=2.5, negative_prompt="blurry, dark", image_path="a b.png",
    )  # fmt: skip


def test_what_is_not_said_has_musubi_tuners_defaults():
    prompt = parse_line("a cat")
    assert (prompt.width, prompt.height, prompt.frame_count, prompt.sample_steps) == (256, 256, 1, 20)
    assert (prompt.guidance_scale, prompt.discrete_flow_shift, prompt.cfg_scale, prompt.seed) == (6.0, 14.5, 1.0, None)


@pytest.mark.parametrize("text", ["I love cats", "n", "w 5", "h --- x", "a cat -- or two", "d 12 dogs", "--w"])
def test_the_prompt_is_never_taken_for_an_option(text):
    assert parse_line(f"{text} --w 64") == SamplePrompt(prompt=text, width=64)


def test_tabs_part_options_as_blanks_do():
    assert parse_line("a cat\t--w\t64 --h  32") == SamplePrompt(prompt="a cat", width=64, height=32)


def test_the_names_of_options_may_be_capitals():
    assert parse_line("a cat --W 64 --FS 3").discrete_flow_shift == 3


@pytest.mark.parametrize(("wanted", "made"), [(1, 1), (4, 1), (5, 5), (8, 5), (25, 25), (129, 129)])
def test_frames_are_rounded_down_to_what_the_vae_can_make(wanted, made):
    assert SamplePrompt(prompt="x", frame_count=wanted).frames == made


def test_a_text_file_has_one_prompt_a_line(tmp_path):
    path = write(tmp_path, "p.txt", "\ufeff# comment\n\na cat --d 1\n  a dog\n#a --w 3\n")
    assert read_prompts(path) == [SamplePrompt(prompt="a cat", seed=1), SamplePrompt(prompt="a dog")]


def test_a_toml_file_has_subsets_that_share_what_stands_above_them(tmp_path):
    subsets = '[[prompt.subset]]\nprompt = "a cat"\n[[prompt.subset]]\nprompt = "x"\nseed = 2\n'
    text = f"[prompt]\nwidth = 64\nseed = 1\n{subsets}"
    assert read_prompts(write(tmp_path, "p.toml", text)) == [
        SamplePrompt(prompt="a cat", width=64, seed=1),
        SamplePrompt(prompt="x", width=64, seed=2),
    ]


def test_a_json_file_has_texts_and_objects(tmp_path):
    entries = ["a cat --w 64", {"prompt": "日本", "cfg_scale": 2, "enum": 4}]
    assert read_prompts(write(tmp_path, "p.json", json.dumps(entries))) == [
        SamplePrompt(prompt="a cat", width=64),
        SamplePrompt(prompt="日本", cfg_scale=2),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "p.txt",
            "a cat --w 100\n",
            r"p.txt, line 1: width is '100' \(wanted a whole number, at least 16, a multiple of 16\)",
        ),
        ("p.txt", "x\ny --q 3\n", r"p.txt, line 2: there is no option --q \(known are --w, --h"),
        ("p.txt", "y --of 3\n", "--of is for other models"),
        ("p.txt", "a --s 0\n", "sample_steps is '0'"),
        ("p.txt", "a --d -1\n", "seed is '-1'"),
        ("p.txt", "a --d\n", "seed is missing"),
        ("p.txt", "a --w=64\n", "there is no option --w=64 .*each with a blank before its value"),
        ("p.txt", "# only a comment\n", "holds no prompt"),
        ("p.toml", "width = 3\n", r"\[\[prompt.subset\]\] is missing"),
        ("p.toml", "[[prompt.subset]]\nwidth = 64\n", "subset 1: prompt is missing"),
        ("p.toml", "[prompt]\nsubset = ['a cat']\n", r"\[\[prompt.subset\]\] is missing"),
        ("p.json", "{}", "is no list of prompts"),
        ("p.json", "[1", "Expecting"),
        ("p.json", '[{"prompt": "a", "wdith": 3}]', "entry 1: a prompt has no wdith"),
        ("p.csv", "a", "is no prompt file"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, name, text, message):
    with pytest.raises(OptionError, match=message):
        read_prompts(write(tmp_path, name, text))


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(OptionError) as raised:
        read_prompts(
            write(tmp_path, "p.json", '[{"prompt": "a", "width": 1, "height": 1}, {"prompt": "b", "seed": "x"}]')
        )
    assert len(raised.value.problems) == 3


def test_all_mistakes_of_all_lines_are_told_at_once(tmp_path):
    with pytest.raises(OptionError) as raised:
        read_prompts(write(tmp_path, "p.txt", "a --nice thing --of 3\nb --w 65\nc\nd --s x\n"))
    assert [problem.message for problem in raised.value.problems] == [
        "p.txt, line 1: there is no option --nice",
        "p.txt, line 1: --of is for other models than HunyuanVideo",
        "p.txt, line 2: width is '65'",
        "p.txt, line 4: sample_steps is 'x'",
    ]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(OptionError, match="there is no such file"):
        read_prompts(tmp_path / "p.txt")


def test_first_frames_are_looked_for(tmp_path):
    path = write(tmp_path, "frame.png", "")
    here, gone = SamplePrompt(prompt="a", image_path=str(path)), SamplePrompt(prompt="b", image_path="gone.png")
    without = SamplePrompt(prompt="c")
    assert [problem.message for problem in check_images([here, gone, without], needed=False)] == [
        "gone.png: there is no such picture"
    ]
    assert len(check_images([here, gone, without], needed=True)) == 2


words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1).filter(
    lambda t: "--" not in t
)


@given(
    st.builds(
        SamplePrompt,
        prompt=words,
        negative_prompt=st.just("") | words,
        width=st.integers(1, 200).map(lambda n: 16 * n),
        frame_count=st.integers(1, 500),
        seed=st.none() | st.integers(0, 2**32),
        guidance_scale=st.floats(0, 100),
        discrete_flow_shift=st.floats(0.1, 100),
    )
)
def test_a_prompt_written_as_a_line_is_read_as_it_was(prompt):
    assert parse_line(format_line(prompt)) == prompt
