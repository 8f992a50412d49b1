"""The page: what stands where. All that is shown is in the state, all that is done in the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import rca as rca_widgets
from trame.widgets import vuetify3 as v3

from .comparison import NAMES as COMPARED
from .session_scene import SLICES, THREE_D

if TYPE_CHECKING:
    from .application import Application

BANNER = "Research use only, not for diagnosis."
# Verdicts differ by sign, word and colour; colours have a contrast of at least 4.5 to their text.
_VERDICTS = "({'pass': '✓', 'fail': '✗', 'fails one': '!', 'not applicable': '–'})[m.verdict] || ''"
_STYLE = """
html { overflow-y: auto; }
.mi-banner { background: #fff3cd; color: #5c3c00; font-weight: 600; padding: 4px 12px; }
.mi-app { display: grid; grid-template-columns: minmax(320px, 400px) 1fr; height: calc(100vh - 32px); }
.mi-panel { overflow-y: auto; padding: 8px; }
.mi-views { display: grid; grid-template-columns: 1fr 1fr; grid-template-rows: 1fr 1fr auto; gap: 2px;
  background: #444; }
.mi-cursor { grid-column: 1 / -1; background: #000; color: #fff; font-size: 12px; padding: 1px 6px; min-height: 20px;
  max-height: 40px; overflow: hidden; }
.mi-view { position: relative; background: #000; min-height: 0; min-width: 0; overflow: hidden; display: flex;
  flex-direction: column; }
.mi-stream { flex: 1; min-height: 0; position: relative; }
.mi-view label { color: #fff; font-size: 12px; display: flex; align-items: center; gap: 6px; padding: 0 6px; }
.mi-view input[type=range], .mi-range input { flex: 1; min-width: 0; }
.mi-range { display: flex; align-items: center; gap: 8px; margin: 6px 0; }
.v-label, .v-field-label { opacity: 1 !important; }
.mi-view select { color: #fff; background: #333; flex: 1; min-width: 0; }
.mi-list { list-style: none; padding: 0; }
.mi-list button, .mi-table tr.mi-go { cursor: pointer; }
.mi-list button { display: flex; width: 100%; gap: 8px; padding: 5px 8px; border-radius: 4px; text-align: left; }
.mi-list button[aria-current=true] { background: #1a5fb4; color: #fff; }
.mi-list button:focus-visible, .mi-table tr:focus-visible { outline: 2px solid rgb(var(--v-theme-primary)); }
.mi-verdict { margin-left: auto; font-size: 12px; white-space: nowrap; }
.mi-scroll { overflow: auto; max-height: 320px; }
.mi-table { border-collapse: collapse; font-size: 12px; width: 100%; }
.mi-table th, .mi-table td { padding: 2px 6px; text-align: left; border-bottom: 1px solid rgba(128, 128, 128, .4); }
.mi-table tr.mi-go:hover { background: rgba(128, 128, 128, .2); }
.mi-bar { position: relative; margin: 2px 0; background: rgba(128, 128, 128, .25); padding: 1px 8px; }
.mi-bar span { position: absolute; inset: 0 auto 0 0; background: rgba(60, 130, 220, .45); }
.mi-bar b { position: relative; font-weight: 500; }
.mi-status { white-space: pre-line; min-height: 1.5em; }
.mi-row { display: flex; gap: 8px; flex-wrap: wrap; margin: 6px 0; }
h2 { font-size: 15px; margin: 12px 0 4px; }
@media (max-width: 760px) {
  .mi-app { display: flex; flex-direction: column-reverse; height: auto; }
  .mi-views { height: 100vw; }
}
"""


def build_page(app: Application) -> None:
    """Build the page of a visitor's application."""
    with VAppLayout(app.server) as layout:
        layout.root.theme = ("dark ? 'dark' : 'light'",)
        client.Style(_STYLE)
        html.Header(f"{{{{ banner || '{BANNER}' }}}}", classes="mi-banner")
        with html.Main(classes="mi-app"):
            with html.Div(classes="mi-panel"):
                with html.Div(classes="mi-row"):
                    html.H1("MRIInterpret", classes="text-h6")
                    v3.VSpacer()
                    v3.VBtn("{{ dark ? 'Light' : 'Dark' }}", click="dark = !dark", size="small", variant="text")
                with html.Details(raw_attrs=[':open="!result_name"']):  # with a result, that comes first
                    html.Summary("Scan and explanation")
                    _scan(app)
                    _explain(app)
                _progress(app)
                _result(app)
            with html.Div(classes="mi-views", v_if=("!compare",)):
                _views(app)
            with html.Div(classes="mi-views", v_if=("compare",)):
                _comparison(app)


def _scan(app: Application) -> None:
    runs = app.runs
    html.H2("Scan")
    with html.Div(classes="mi-row"):
        v3.VBtn("Load sample", click=app.deed(runs.load_sample), size="small")
        with (
            html.Form(
                raw_attrs=['action="upload" method="post" enctype="multipart/form-data" target="upload-answer"'],
            ),
            html.Label(classes="text-body-2"),
        ):
            html.Span("Send a scan: ")
            html.Input(
                type="file",
                raw_attrs=['name="scan" accept=".nii,.gz,.mgz,.mgh" @change="$event.target.form.submit()"'],
            )
        html.Iframe(
            raw_attrs=['name="upload-answer" title="Answer to a scan that was sent" style="display:none"'],
        )
    v3.VSelect(
        v_if=("scans.length",), label="Scan of the folders", items=("scans",), density="compact",
        update_modelValue=(app.deed(runs.open_scan), "[$event]"), hide_details=True,
    )  # fmt: skip
    v3.VSelect(
        v_if=("saved_results.length",), label="Saved result of the folders", items=("saved_results",),
        density="compact", update_modelValue=(app.deed(runs.open_result), "[$event]"), hide_details=True,
        disabled=("running",),
    )  # fmt: skip
    html.Div("{{ scan_name }}", classes="text-body-2", raw_attrs=['data-name="scan"'])


def _explain(app: Application) -> None:
    runs = app.runs
    html.H2("Explain")
    _select("Model", "model", "models")
    html.Div("{{ model_text }}", classes="text-caption")
    _select("Target", "target", "targets")
    v3.VSelect(
        label="Methods", v_model=("methods",), items=("known_methods",), multiple=True, density="compact",
        hide_details=True, chips=False,
    )  # fmt: skip
    with html.Div(classes="mi-row"):
        v3.VBtn(
            "{{ preset.title }}",
            v_for="preset in presets.filter(p => p.value !== 'custom')",
            key=("preset.value",),
            click=(app.deed(runs.choose_preset), "[preset.value]"),
            size="x-small",
            variant="outlined",
        )
    with html.Details():
        html.Summary("More")
        _select("Kind of scan", "scanKind", "scan_kinds")
        _select("Trust checks", "trust", "trusts")
        _select("Regions", "regions", "region_kinds")
        _select("Device", "device", "devices")
        v3.VTextField(label="Goal of a volume counterfactual", v_model=("goal",), density="compact", hide_details=True)
    with html.Div(classes="mi-row"):
        v3.VBtn("Explain", click=app.deed(runs.explain), disabled=("!!blocked",), color="#1a5fb4", size="small")
    html.Div("{{ blocked }}", v_if=("blocked && !running",), classes="text-caption")


def _progress(app: Application) -> None:
    with html.Div(v_if=("running",), classes="mi-row"):
        v3.VBtn("Cancel", click=app.deed(app.runs.cancel), size="small")
    v3.VProgressLinear(v_if=("running",), model_value=("percent",), height=6, raw_attrs=['aria-label="Progress"'])
    html.Div("{{ status }}", classes="mi-status text-body-2", raw_attrs=['role="status" data-name="status"'])


def _result(app: Application) -> None:
    shown = app.shown
    with html.Div(v_if=("result_name",)):
        html.H2("Result")
        v3.VSelect(
            v_if=("result_names.length > 1",), label="Result", model_value=("result_name",), items=("result_names",),
            update_modelValue=(app.deed(shown.choose), "[$event]"), density="compact", hide_details=True,
        )  # fmt: skip
        html.P("{{ answer }}", raw_attrs=['data-name="answer"'])
        with html.Div(v_for="bar in bars", key=("bar.text",), classes="mi-bar", title=("bar.note",)):
            html.Span(style=("{width: bar.percent + '%'}",))
            html.B("{{ bar.text }}")
        html.P("{{ sentence }}", v_for="sentence in changes", key=("sentence",), classes="text-body-2")
        with html.Details(v_if=("warnings.length",), open=True):
            html.Summary("Warnings ({{ warnings.length }})")
            html.P("{{ sentence }}", v_for="sentence in warnings", key=("sentence",), classes="text-body-2")
        html.H2("Maps")
        with (
            html.Ul(classes="mi-list"),
            html.Li(v_for="m in maps", key=("m.key",)),
            html.Button(
                click=(app.deed(shown.choose_map), "[m.key]"),
                title=("m.note",),
                raw_attrs=[':aria-current="m.key === map_key"', ':data-map="m.key"'],
            ),
        ):
            html.Span("{{ m.title }}")
            html.Span(f"{{{{ {_VERDICTS} }}}} {{{{ m.verdict }}}}", classes="mi-verdict")
        _display(app)
        with html.Div(classes="mi-row"):
            v3.VBtn(
                "{{ compare ? 'Usual views' : 'Compare methods' }}", click=(app.deed(app.compare), "[!compare]"),
                size="small",
            )  # fmt: skip
            v3.VBtn("Jump to peak", click=app.deed(shown.jump_to_peak), size="small")
            v3.VBtn("Save report", href="download/report.html", size="small", raw_attrs=["download"])
            v3.VBtn("Save scene (.mrb)", href="download/scene.mrb", size="small", raw_attrs=["download"])
        _table(app, "Regions", "regions", clickable=True)
        _table(app, "Is this map to be believed?", "trust", clickable=False)
        _table(app, "Volumes of this brain", "volumes", clickable=True)
        _table(app, "Agreement of the methods", "agreement", clickable=False)


def _display(app: Application) -> None:
    shown = app.shown
    with html.Div(v_if=("has_threshold",)):
        _range(
            app, "Show top", "top_percent", (0.1, 100, 0.1), shown.on_top, "{{ Number(top_percent).toPrecision(3) }} %"
        )
        v3.VTextField(
            label="Threshold (the map's units)",
            model_value=("threshold",),
            density="compact",
            hide_details=True,
            change=(app.deed(shown.on_threshold), "[$event.target.value]"),
        )
        v3.VSelect(
            label="Colours",
            model_value=("colours",),
            items=("colour_choices",),
            density="compact",
            hide_details=True,
            update_modelValue=(app.deed(shown.on_colours), "[$event]"),
        )
    _range(app, "Opacity", "opacity", (0, 1, 0.05), shown.on_opacity, "{{ Math.round(100 * opacity) }} %")
    with html.Div(classes="mi-row"):
        for title, name, do in (
            ("Show in 3D", "show_3d", shown.on_show_3d),
            ("Outline regions", "outlines", shown.on_outlines),
        ):
            v3.VCheckbox(
                label=title,
                model_value=(name,),
                update_modelValue=(app.deed(do), "[$event]"),
                density="compact",
                hide_details=True,
            )


def _range(app: Application, title: str, name: str, limits: tuple[float, float, float], do: Any, text: str) -> None:
    """A slider with its title and what it stands at."""
    deed = app.server.trigger_name(app.deed(lambda value: do(float(value))))
    low, high, step = limits
    with html.Label(classes="mi-range"):
        html.Span(title)
        html.Input(
            type="range",
            raw_attrs=[
                f'min="{low}" max="{high}" step="{step}" :value="{name}" '
                f"@input=\"trigger('{deed}', [$event.target.value])\""
            ],
        )
        html.Span(text)


def _table(app: Application, title: str, name: str, *, clickable: bool) -> None:
    """A table of the result; rows that can be clicked can be reached by keyboard, too."""
    with html.Details(v_if=(f"tables.{name} && tables.{name}.rows.length",), open=name == "regions"):
        html.Summary(title)
        with (
            html.Div(classes="mi-scroll", raw_attrs=['tabindex="0"']),
            html.Table(classes="mi-table", raw_attrs=[f'data-table="{name}"']),
        ):
            with html.Thead(), html.Tr():
                html.Th("{{ head }}", v_for=f"head in tables.{name}.heads", key=("head",))
            with html.Tbody():
                extra: dict[str, Any] = {}
                if clickable:
                    deed = app.server.trigger_name(app.deed(lambda row: app.shown.on_row(name, int(row))))
                    extra = {
                        "click": f"trigger('{deed}', [i])",
                        "classes": "mi-go",
                        "raw_attrs": [f"""tabindex="0" @keydown.enter="trigger('{deed}', [i])" """],
                    }
                with html.Tr(v_for=f"(row, i) in tables.{name}.rows", key=("i",), **extra):
                    html.Td("{{ cell }}", v_for="(cell, j) in row", key=("j",))


def _views(app: Application) -> None:
    for name in ("Red", THREE_D, "Green", "Yellow"):
        with html.Div(classes="mi-view", raw_attrs=[f'data-view="{name}"']):
            _stream(name, f"{SLICES[name]} slice" if name in SLICES else "The brain in 3D")
            if name in SLICES:
                _slider(app, name)
    html.Div("{{ cursor }}", classes="mi-cursor", raw_attrs=['data-name="cursor"'])


def _comparison(app: Application) -> None:
    for name in COMPARED:
        with html.Div(classes="mi-view", raw_attrs=[f'data-view="{name}"']):
            _stream(name, "Axial slice with one of the maps")
            chosen = app.server.trigger_name(app.deed(lambda key, name=name: app.comparison.choose(name, key)))
            with html.Label():
                html.Span("Map")
                with html.Select(
                    raw_attrs=[f':value="compared.{name}" @change="trigger(\'{chosen}\', [$event.target.value])"'],
                ):
                    html.Option("{{ m.title }}", v_for="m in maps", key=("m.key",), value=("m.key",))
    with html.Div(classes="mi-cursor mi-view"):
        _slider(app, "Red")


def _stream(name: str, said: str) -> None:
    with html.Div(classes="mi-stream"):
        rca_widgets.RemoteControlledArea(
            name=name,
            display="image",
            send_mouse_move=True,
            event_throttle_ms=("40",),
            style="position: absolute; inset: 0;",
            # The component has no property for it.
            raw_attrs=[f"""@vue:mounted="({{ el }}) => el.querySelectorAll('img').forEach(i => i.alt = '{said}')" """],
        )


def _slider(app: Application, name: str) -> None:
    """Moves a slice view; for the keyboard and for touch, too."""
    deed = app.server.trigger_name(lambda offset: app.move_slice(name, offset))  # the view itself asks to be drawn
    with html.Label():
        html.Span(f"{SLICES[name]} {{{{ slices.{name}.text }}}}", classes="text-no-wrap")
        html.Input(
            type="range",
            raw_attrs=[
                f':min="slices.{name}.min" :max="slices.{name}.max" :step="slices.{name}.step" '
                f':value="slices.{name}.value" @input="trigger(\'{deed}\', [Number($event.target.value)])"'
            ],
        )


def _select(label: str, name: str, items: str) -> None:
    """A choice that is kept in the state under ``name``."""
    v3.VSelect(label=label, v_model=(name,), items=(items,), density="compact", hide_details=True)
