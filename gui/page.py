"""The page: header and tabs; everything that lives on it is built by the files under tabs/."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from gui.tabs.dataset import build_dataset
from gui.tabs.events import EVENT_OPTIONS
from gui.tabs.monitor import build_monitor
from gui.tabs.runs import build_runs
from gui.tabs.settings import build_settings
from gui.tabs.tensorboard import build_tensorboard
from gui.tabs.tools import build_tools
from gui.tabs.train import build_train
from gui.tabs.train_plan import SHOW_IN_TURN
from gui.texts import Texts


def build_page(workspace: Path, texts: Texts) -> gr.Blocks:
    """The whole page for one workspace, in one language."""
    with gr.Blocks(title="LoRA Loom", analytics_enabled=False, fill_width=True) as page:
        gr.HTML("<div id='loom-header'></div>", elem_id="loom-header-block", padding=False, apply_default_css=False)
        with gr.Tabs(elem_id="loom-tabs") as tabs:
            with gr.Tab(texts("tabs.train"), id="train"):
                train = build_train(workspace, tabs, texts)
            with gr.Tab(texts("tabs.dataset"), id="dataset"):
                build_dataset()
            with gr.Tab(texts("tabs.monitor"), id="monitor"):
                build_monitor()
            with gr.Tab(texts("tabs.tensorboard"), id="tensorboard"):
                build_tensorboard()
            with gr.Tab(texts("tabs.runs"), id="runs"):
                build_runs()
            with gr.Tab(texts("tabs.tools"), id="tools"):
                build_tools()
            with gr.Tab(texts("tabs.settings"), id="settings"):
                build_settings()
        filled = page.load(train.fill, outputs=train.filled, show_progress_on=train.shown, **EVENT_OPTIONS)
        filled.then(train.show, inputs=train.fields, outputs=train.shown, **SHOW_IN_TURN)
    return page
