"""The colours and type of Gradio's own components; our elements use the same values from app.css.

Paper, ink and indigo (藍). Every colour has its dark twin.
"""

import gradio as gr

FONTS = [
    "system-ui",
    "-apple-system",
    "Hiragino Sans",
    "Hiragino Kaku Gothic ProN",
    "Noto Sans JP",
    "Noto Sans CJK JP",
    "BIZ UDPGothic",
    "Yu Gothic UI",
    "Meiryo",
    "sans-serif",
]
MONO_FONTS = [
    "ui-monospace",
    "SFMono-Regular",
    "Menlo",
    "Consolas",
    "Noto Sans Mono CJK JP",
    "monospace",
]
INDIGO = gr.themes.Color(
    name="indigo",
    c50="#eef2fb",
    c100="#dde5f6",
    c200="#bccbec",
    c300="#93abdf",
    c400="#6a88cf",
    c500="#4867b8",
    c600="#34509b",
    c700="#2b427f",
    c800="#243666",
    c900="#1d2b51",
    c950="#141d38",
)
COLOURS = {
    "body_background_fill": ("#fbfaf7", "#16171b"),
    "body_text_color": ("#24221e", "#e9e7e2"),
    "body_text_color_subdued": ("#6f6a60", "#9c9a94"),
    "background_fill_primary": ("#ffffff", "#1d1f24"),
    "background_fill_secondary": ("#f4f2ec", "#111216"),
    "border_color_primary": ("#e5e1d8", "#2c2e35"),
    "border_color_accent": ("*primary_300", "*primary_600"),
    "block_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("#24221e", "#e9e7e2"),
    "block_title_text_color": ("#24221e", "#e9e7e2"),
    "block_info_text_color": ("#6f6a60", "#9c9a94"),
    "input_background_fill": ("#ffffff", "#111216"),
    "input_border_color": ("#e5e1d8", "#2c2e35"),
    "input_border_color_focus": ("*primary_400", "*primary_400"),
    "input_placeholder_color": ("#8b867b", "#7d7b76"),
    "button_primary_background_fill": ("*primary_600", "*primary_500"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_400"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#ffffff", "#24262c"),
    "button_secondary_background_fill_hover": ("#f4f2ec", "#2c2e35"),
    "button_secondary_border_color": ("#e5e1d8", "#2c2e35"),
    "button_secondary_text_color": ("#24221e", "#e9e7e2"),
    "slider_color": ("*primary_500", "*primary_400"),
    "link_text_color": ("*primary_600", "*primary_300"),
    "panel_background_fill": ("transparent", "transparent"),
}


def theme() -> gr.themes.Base:
    twins = {
        key: value
        for name, (light, dark) in COLOURS.items()
        for key, value in ((name, light), (f"{name}_dark", dark))
    }
    return gr.themes.Base(
        primary_hue=INDIGO,
        secondary_hue=INDIGO,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=FONTS,
        font_mono=MONO_FONTS,
    ).set(
        block_border_width="0px",
        block_shadow="none",
        block_label_border_width="0px",
        block_padding="0px",
        button_large_radius="10px",
        button_small_radius="8px",
        **twins,
    )
