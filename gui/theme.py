"""How the page looks: Gradio's theme and what stands in the page's head. The colours are in assets/style.css."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from gui.texts import Texts

FONT = ("system-ui", "Segoe UI", "Noto Sans", "Hiragino Sans", "Yu Gothic UI", "sans-serif")
MONOSPACED_FONT = ("ui-monospace", "Cascadia Mono", "Consolas", "DejaVu Sans Mono", "monospace")

HEAD = """
<link rel="icon" type="image/svg+xml" href="loom/icon.svg">
<link rel="stylesheet" href="loom/style.css">
<link rel="stylesheet" href="loom/header.css">
<link rel="stylesheet" href="loom/monitor.css">
<link rel="stylesheet" href="loom/curves.css">
<link rel="stylesheet" href="loom/samples.css">
<link rel="stylesheet" href="loom/log.css">
<link rel="stylesheet" href="loom/runs.css">
<link rel="stylesheet" href="loom/train.css">
<link rel="stylesheet" href="loom/plan.css">
<link rel="stylesheet" href="loom/module_map.css">
<link rel="stylesheet" href="loom/dataset.css">
<link rel="stylesheet" href="loom/settings.css">
<link rel="stylesheet" href="loom/tools.css">
<script type="module" src="loom/loom.js"></script>
"""
"""Linked, not inlined: Gradio rewrites the selectors of a style sheet that it is given. The addresses are relative, as
the page may lie under a path prefix; gui/routes.py serves them."""


def appearance(texts: Texts) -> dict[str, Any]:
    """Theme and head as `gr.mount_gradio_app` takes them; nothing in them is fetched from the internet."""
    return {"theme": LoomTheme(), "head": _language(texts) + HEAD, "footer_links": []}


def _language(texts: Texts) -> str:
    """The page's language, and the texts that its scripts show."""
    shown = json.dumps(texts.for_scripts(), ensure_ascii=False).replace("<", "\\u003c")
    return f"""
<script>document.documentElement.lang = "{texts.language}";</script>
<script type="application/json" id="loom-texts">{shown}</script>
"""


class LoomTheme(gr.themes.Base):
    """Gradio's own components in the colours and sizes of style.css."""

    def __init__(self) -> None:
        super().__init__(
            font=FONT,
            font_mono=MONOSPACED_FONT,
            text_size=gr.themes.Size(
                name="loom_text", xxs="11px", xs="12px", sm="13px", md="14px", lg="15px", xl="18px", xxl="22px"
            ),
            spacing_size=gr.themes.sizes.spacing_md,
            radius_size=gr.themes.Size(
                name="loom_radius", xxs="3px", xs="4px", sm="5px", md="7px", lg="7px", xl="10px", xxl="10px"
            ),
        )
        self.name = "loom"
        # Gradio writes these two into the page itself, before any style sheet is there.
        self.set(body_background_fill="#f7f7f8", body_background_fill_dark="#14161a")
        self.set(body_text_color="#1b1d22", body_text_color_dark="#e8eaee")
        for name, value in (_COLOURS | _MEASURES).items():
            self._set_both(name, value)

    def _set_both(self, name: str, value: str) -> None:
        """Set a variable that is written the same in light and dark; what it refers to may differ."""
        if not hasattr(self, name):
            raise ValueError(f"Gradio's theme has no {name}")
        setattr(self, name, value)
        if hasattr(self, f"{name}_dark"):
            setattr(self, f"{name}_dark", None)  # Gradio then repeats the light one inside .dark


_COLOURS = {
    "body_text_color_subdued": "var(--loom-muted)",
    "background_fill_primary": "var(--loom-card)",
    "background_fill_secondary": "var(--loom-inset)",
    "border_color_accent": "var(--loom-accent)",
    "border_color_accent_subdued": "var(--loom-accent)",
    "border_color_primary": "var(--loom-line)",
    "color_accent": "var(--loom-accent)",
    "color_accent_soft": "var(--loom-accent-soft)",
    "link_text_color": "var(--loom-accent)",
    "link_text_color_active": "var(--loom-accent)",
    "link_text_color_hover": "var(--loom-ink)",
    "link_text_color_visited": "var(--loom-accent)",
    "code_background_fill": "var(--loom-inset)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--loom-line)",
    "block_info_text_color": "var(--loom-muted)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--loom-ink)",
    "block_title_background_fill": "transparent",
    "block_title_text_color": "var(--loom-ink)",
    "panel_background_fill": "var(--loom-card)",
    "panel_border_color": "var(--loom-line)",
    "accordion_text_color": "var(--loom-ink)",
    "table_text_color": "var(--loom-ink)",
    "checkbox_background_color": "var(--loom-field)",
    "checkbox_background_color_focus": "var(--loom-field)",
    "checkbox_background_color_hover": "var(--loom-field)",
    "checkbox_background_color_selected": "var(--loom-accent)",
    "checkbox_border_color": "var(--loom-field-line)",
    "checkbox_border_color_focus": "var(--loom-accent)",
    "checkbox_border_color_hover": "var(--loom-accent)",
    "checkbox_border_color_selected": "var(--loom-accent)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_hover": "transparent",
    "checkbox_label_background_fill_selected": "transparent",
    "checkbox_label_border_color": "transparent",
    "checkbox_label_text_color": "var(--loom-ink)",
    "error_background_fill": "var(--loom-error-soft)",
    "error_border_color": "var(--loom-error)",
    "error_text_color": "var(--loom-error)",
    "error_icon_color": "var(--loom-error)",
    "input_background_fill": "var(--loom-field)",
    "input_background_fill_focus": "var(--loom-field)",
    "input_background_fill_hover": "var(--loom-field)",
    "input_border_color": "var(--loom-field-line)",
    "input_border_color_focus": "var(--loom-accent)",
    "input_border_color_hover": "var(--loom-field-line)",
    "input_placeholder_color": "var(--loom-muted)",
    "loader_color": "var(--loom-accent)",
    "slider_color": "var(--loom-accent)",
    "stat_background_fill": "var(--loom-trained)",
    "table_border_color": "var(--loom-line)",
    "table_even_background_fill": "var(--loom-card)",
    "table_odd_background_fill": "var(--loom-inset)",
    "button_primary_background_fill": "var(--loom-accent-fill)",
    "button_primary_background_fill_hover": "var(--loom-accent-fill-hover)",
    "button_primary_border_color": "var(--loom-accent-fill)",
    "button_primary_text_color": "var(--loom-on-accent)",
    "button_secondary_background_fill": "var(--loom-card)",
    "button_secondary_background_fill_hover": "var(--loom-inset)",
    "button_secondary_border_color": "var(--loom-line)",
    "button_secondary_text_color": "var(--loom-ink)",
    "button_cancel_background_fill": "var(--loom-card)",
    "button_cancel_background_fill_hover": "var(--loom-error-soft)",
    "button_cancel_border_color": "var(--loom-line)",
    "button_cancel_text_color": "var(--loom-error)",
}

_MEASURES = {
    "body_text_size": "14px",
    "block_border_width": "0px",
    "block_info_text_size": "12.5px",
    "block_label_text_size": "13px",
    "block_label_text_weight": "600",
    "block_title_text_size": "13px",
    "block_title_text_weight": "600",
    "block_padding": "0px",
    "block_radius": "7px",
    "block_shadow": "none",
    "container_radius": "10px",
    "form_gap_width": "0px",
    "layout_gap": "16px",
    "input_border_width": "1px",
    "input_padding": "8px 10px",
    "input_radius": "7px",
    "input_shadow": "none",
    "input_shadow_focus": "0 0 0 3px var(--loom-accent-soft)",
    "input_text_size": "14px",
    "checkbox_border_radius": "4px",
    "checkbox_label_padding": "0px",
    "checkbox_label_shadow": "none",
    "checkbox_shadow": "none",
    "button_border_width": "1px",
    "button_large_padding": "9px 16px",
    "button_large_radius": "7px",
    "button_large_text_size": "14px",
    "button_large_text_weight": "600",
    "button_medium_padding": "8px 14px",
    "button_medium_radius": "7px",
    "button_medium_text_size": "14px",
    "button_medium_text_weight": "500",
    "button_small_padding": "6px 12px",
    "button_small_radius": "7px",
    "button_small_text_size": "13px",
    "button_small_text_weight": "500",
    "button_transition": "none",
    "button_primary_shadow": "none",
    "button_primary_shadow_hover": "none",
    "button_primary_shadow_active": "none",
    "button_secondary_shadow": "none",
    "button_secondary_shadow_hover": "none",
    "button_secondary_shadow_active": "none",
    "shadow_drop": "none",
    "shadow_drop_lg": "0 6px 24px rgb(0 0 0 / 18%)",
}
