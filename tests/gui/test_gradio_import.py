import os
import subprocess
import sys
from pathlib import Path

PREPARE = "from pathlib import Path; from gui.gradio_import import prepare_gradio; prepare_gradio(Path({folder!r}));"


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gradio_leaves_the_type_stubs_of_its_installation_alone(tmp_path):
    code = PREPARE.format(folder=str(tmp_path)) + (
        "import gradio;"
        "stub = Path(gradio.components.slider.__file__).with_suffix('.pyi');"
        "before = stub.stat().st_mtime_ns if stub.exists() else None;"
        "type('Mine', (gradio.Slider,), {'__module__': 'gradio.components.slider'});"
        "gradio.component_meta.create_or_modify_pyi(gradio.Slider, 'Slider', []);"
        "print(before == (stub.stat().st_mtime_ns if stub.exists() else None))"
    )
    assert run_python(code).strip() == "True"


def test_a_gradio_without_the_stub_writer_is_imported_as_it_is(tmp_path):
    package = tmp_path / "gradio"
    package.mkdir()
    (package / "__init__.py").write_text("from gradio import component_meta")
    (package / "component_meta.py").write_text("version = 99")
    code = PREPARE.format(folder=str(tmp_path)) + "import gradio; print(gradio.component_meta.version, dir())"
    assert run_python(code, PYTHONPATH=str(tmp_path)).startswith("99")


def test_gradio_is_told_to_stay_offline_and_to_keep_uploads_in_the_given_folder(tmp_path):
    code = PREPARE.format(folder=str(tmp_path / "uploads")) + (
        "import gradio; page = gradio.Blocks(); print(page.analytics_enabled, page.GRADIO_CACHE)"
    )
    assert run_python(code).split() == ["False", str(tmp_path / "uploads")]


def test_the_whole_page_is_imported_without_torch():
    code = (
        "import sys, pkgutil, importlib; from pathlib import Path; import app, gui;"
        "app.prepare_gradio(Path('unused'));"
        "names = [m.name for m in pkgutil.walk_packages(gui.__path__, 'gui.')];"
        "[importlib.import_module(name) for name in names];"
        "heavy = {'torch', 'transformers', 'diffusers', 'accelerate'} & set(sys.modules);"
        "print('gui.server' in names, sorted(heavy))"
    )
    assert run_python(code).strip() == "True []"
