"""The module map as the page gets it, compared with what the trainer selects, and what a click writes."""

from pathlib import Path

import pytest

from backend.plan.modules import TransformerShape, block_linears
from backend.plan.selection import ModuleState, select_modules
from gui.module_map import clicked_lists, map_record

GOLDEN = Path(__file__).parents[1] / "golden"
FROM_10TH = {"exclude_patterns": ".*", "include_patterns": r".*single_blocks\.\d{2}\.linear.*"}


def cells_of(record) -> dict[str, dict]:
    return {
        f"{group['kind']}.{block}.{row['part']}": cell
        for group in record["groups"]
        for row in group["rows"]
        for block, cell in enumerate(row["cells"])
    }


def test_the_map_shows_what_the_trainer_selects():
    record = map_record(FROM_10TH)
    lists = {name: [text] for name, text in FROM_10TH.items()}
    decisions = select_modules(block_linears(TransformerShape.full_size()), **lists)
    trained = {decision.module.name for decision in decisions if decision.state is ModuleState.TRAINED}
    assert {name for name, cell in cells_of(record).items() if cell["state"] == "trained"} == trained
    assert record["counts"] == {"trained": 60, "not_trained": 180, "excluded_by_default": 80}
    assert [(group["kind"], group["blocks"], len(group["rows"])) for group in record["groups"]] == [
        ("double_blocks", 20, 10),
        ("single_blocks", 40, 3),
    ]


def test_a_cell_tells_its_size_and_the_patterns_that_decided():
    record = map_record({**FROM_10TH, "network_dim": "32"})
    assert cells_of(record)["single_blocks.24.linear1"] == {
        "state": "trained",
        "pattern": r".*single_blocks\.\d{2}\.linear.*",
        "rescued_from": ".*",
        "parameters": 32 * (3072 + 21504),
    }
    assert cells_of(record)["single_blocks.3.modulation.linear"]["state"] == "excluded_by_default"
    assert cells_of(record)["double_blocks.3.img_attn_qkv"]["pattern"] == ".*"


def test_scale_and_both_learning_rates_are_told_as_a_person_writes_them():
    record = map_record({"network_alpha": "16", "learning_rate": "1e-4", "loraplus_lr_ratio": "3"})
    assert (record["scale"], record["rates"]) == ("0.5", {"down": "1e-4", "up": "3e-4"})
    assert map_record({"network_alpha": "many"})["scale"] == "0.03125"
    assert map_record({"learning_rate": "", "loraplus_lr_ratio": "3"})["rates"] is None


def test_a_common_selection_is_told_as_chosen_however_it_is_written():
    chosen = [s["key"] for s in map_record({"exclude_patterns": r"double_blocks\..*"})["selections"] if s["is_chosen"]]
    assert chosen == ["single"]


def test_a_selection_that_trains_nothing_of_a_smaller_model_is_not_offered():
    record = map_record({"dit": str(GOLDEN / "dit_model.safetensors")})
    assert not record["is_full_size"]
    assert "single_from_10th" not in {selection["key"] for selection in record["selections"]}


def test_a_pattern_that_cannot_be_used_counts_as_if_it_were_not_there():
    record = map_record({"exclude_patterns": ".*(img\n.*txt.*"})
    assert not record["is_whole"]
    assert [(report["finding"], report["position"]) for report in record["reports"]] == [("invalid", 2), ("", None)]
    assert record["counts"]["trained"] == 160


def test_the_modules_of_start_weights_are_shown_in_place_of_the_patterns():
    record = map_record(
        {
            "dit": str(GOLDEN / "dit_model.safetensors"),
            "network_weights": str(GOLDEN / "lora_default.safetensors"),
            "dim_from_weights": True,
            "exclude_patterns": ".*",
        }
    )
    assert record["is_from_weights"]
    assert record["counts"]["trained"] > 0


def test_a_click_adds_a_module_and_another_takes_it_out():
    out = clicked_lists({}, ["single_blocks.3.linear1"])
    assert out == {"exclude_patterns": r"single_blocks\.3\.linear1", "include_patterns": ""}
    assert clicked_lists(out, ["single_blocks.3.linear1", "no_such"]) == {
        "exclude_patterns": "",
        "include_patterns": "",
    }
    assert clicked_lists(FROM_10TH, ["no_such"]) == FROM_10TH


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"values": []},
        {"values": {"output_dir": "/etc"}},
        {"values": {"network_dim": 3}},
        {"values": {"exclude_patterns": "a\n" * 1001}},
        {"values": {}, "modules": "x"},
    ],
)
def test_a_request_that_is_none_is_refused(serve_page, body):
    client = serve_page().client
    assert client.post("/module_map", json=body).status_code == 400
    assert client.post("/module_map/click", json=body).status_code == 400
    assert client.post("/module_map", content=b"{").status_code == 400


def test_the_routes_answer_over_http(serve_page):
    client = serve_page().client
    assert client.post("/module_map", json={"values": FROM_10TH}).json()["counts"]["trained"] == 60
    answer = client.post("/module_map/click", json={"values": {}, "modules": ["single_blocks.3.linear1"]})
    assert answer.json()["exclude_patterns"] == r"single_blocks\.3\.linear1"
