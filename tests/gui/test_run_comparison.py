import numpy as np

from gui.run_comparison import POINTS, differences
from gui.texts import texts_of
from tests.gui.written_runs import end_run, make_run


def test_only_settings_that_differ_are_told(tmp_path, serve_page):
    first = make_run(tmp_path, network_dim=16, gradient_checkpointing=True, seed=0)
    second = make_run(tmp_path, network_dim=32, gradient_checkpointing=False)
    query = {"run": [first.name, second.name, "no_such_run"]}
    told = serve_page().client.get("/settings/differing", params=query).json()["settings"]
    assert {one["option"]: one["values"] for one in told} == {
        "network_dim": ["16", "32"],
        "gradient_checkpointing": [True, False],
        "seed": ["0", ""],
    }
    assert differences([first, first], texts_of("en")) == []


def test_a_curve_of_few_steps_is_whole_and_one_of_many_keeps_its_peaks(tmp_path, serve_page):
    few, many, none = make_run(tmp_path), make_run(tmp_path), make_run(tmp_path)
    end_run(few, steps=3)
    end_run(many, steps=5000)
    with many.metrics_file.open("a") as file:
        file.write('{"step": 5001, "loss": 99.0}\n{"step": 5002, "loss": NaN}\n{"step": 5003, "lo')
    client = serve_page().client
    told = client.get(f"/runs/{few.name}/metrics").json()
    assert told["loss"] == {"steps": [1, 2, 3], "values": [1, 1 / 2, 1 / 3]}
    assert told["learning_rates"] == {"unet": {"steps": [1, 2, 3], "values": [1e-4] * 3}}
    curve = client.get(f"/runs/{many.name}/metrics").json()["loss"]
    assert POINTS / 2 < len(curve["steps"]) <= POINTS
    assert (np.diff(curve["steps"]) > 0).all()
    assert (max(curve["values"]), curve["values"][0], min(curve["values"])) == (99.0, 1, 1 / 5000)
    assert client.get(f"/runs/{none.name}/metrics").json() == {}
    assert client.get("/runs/no_such_run/metrics").status_code == 404
