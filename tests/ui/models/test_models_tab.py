"""The モデル view in a real browser, from an empty folder to a comparison of quantisations."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.makegguf import random_llama
from tests.models.downloads.hub import Hub, serving
from tests.places import BUILTIN_DIR, ROOT
from tests.workshop.convert.folders import llama_folder
from webui.models import load_entries

pytestmark = pytest.mark.browser
ENTRY = load_entries(ROOT / "models", ROOT / "models").get("lfm2.5-1.2b-jp")
PHONE = {"width": 390, "height": 844}
Visit = Callable[..., Page]


@dataclass
class ModelsSite:
    url: str
    folder: Path
    hub: Hub


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("source") / "small-F16.gguf"
    random_llama(path, n_vocab=6000, n_embd=256, n_layer=4, n_head=4, n_head_kv=2, n_ff=1024)
    return path.read_bytes()


@pytest.fixture
def models_site(tmp_path: Path, standin: Path, model_bytes: bytes) -> Iterator[ModelsSite]:
    """The real command on an empty models folder, with a hub of its own."""
    folder = tmp_path / "models"
    folder.mkdir()
    with serving() as hub:
        assert ENTRY.default_file
        hub.add(ENTRY.repository, ENTRY.default_file.file, model_bytes)
        command = [sys.executable, "app.py", "serve", "--no-browser", "--port", "0"]
        command += ["--data-dir", str(tmp_path / "data"), "--models-dir", str(folder)]
        command += ["--n-ctx", "2048", "--n-slots", "4"]
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "KAJOGAKI_DOWNLOAD_WAIT_S": "0.05"}
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://")).rstrip("/")
        yield ModelsSite(url, folder, hub)
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def visit(browser: Browser, models_site: ModelsSite) -> Iterator[Visit]:
    """visit(viewport=…, …) → the page with the view open."""
    contexts, errors = [], list[str]()

    def visit(**options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(models_site.url)
        page.get_by_role("link", name="モデル", exact=True).click()
        page.locator("#models-view h1").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors


def entry(page: Page) -> Locator:
    page.get_by_role("button", name="4 GB", exact=True).click()
    return page.locator(f'[data-entry="{ENTRY.id}"]')


def model(page: Page, model_id: str) -> Locator:
    return page.locator(f'[data-model="{model_id}"]')


def begin_download(page: Page) -> None:
    entry(page).get_by_role("button", name="ダウンロード").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text(ENTRY.repository)
    expect(question).to_contain_text(ENTRY.license)
    question.get_by_role("button", name="ダウンロード").click()


@pytest.mark.thorough
def test_from_an_empty_folder_to_a_comparison(visit: Visit, models_site: ModelsSite) -> None:
    page = visit()
    expect(page.get_by_text("まだモデルがありません")).to_be_visible()
    assert models_site.hub.requests == [], "nothing is fetched before a click"
    begin_download(page)
    file = ENTRY.default_file
    assert file
    stem = file.file.removesuffix(".gguf")
    card = model(page, stem)
    expect(card).to_be_visible()
    expect(card.locator(".badge")).to_have_text("余裕")
    assert (models_site.folder / file.file).exists()
    expect(entry(page)).to_contain_text("手元にあります")

    card.get_by_role("button", name="読み込む").click()
    expect(card.locator(".badge")).to_have_text("読み込み済み")
    expect(card).to_contain_text("実測")
    expect(page.locator(".memory")).to_contain_text("使っています")

    card.get_by_role("button", name="これで話す").click()
    expect(page.locator(".head-model")).to_have_value(stem)
    composer = page.locator("#composer textarea")
    composer.fill("こんにちは")
    composer.press("Enter")
    expect(page.locator(".turn.assistant")).to_be_visible(timeout=30_000)
    page.locator("button.stop").dispatch_event("click")  # random weights never end

    page.get_by_role("link", name="モデル", exact=True).click()
    expect(page.locator(".in-use")).to_have_count(1)
    expect(card.locator(".in-use")).to_have_text("使用中")
    card.get_by_role("button", name="速さを測る").click()
    expect(page.locator(".results tbody tr").first).to_contain_text(
        re.compile("遅い|最低限|快適|速い|バッチ向き"), timeout=90_000
    )
    expect(page.locator(".job")).to_contain_text("を測りました", timeout=90_000)
    card.get_by_role("combobox").first.select_option("Q4_0")
    expect(page.locator(".job")).to_contain_text("を作りました", timeout=60_000)
    (made,) = models_site.folder.glob("*Q4_0.gguf")
    page.locator("summary", has_text="モデルを比べる").click()
    for model_id in (stem, made.stem):
        assert page.locator(f'[data-key="compare {model_id}"]').is_checked()
    page.get_by_role("button", name="測って比べる").click()
    expect(page.locator(".job")).to_contain_text("測り終えました", timeout=180_000)
    expect(page.locator(".bench .plot circle")).to_have_count(4)
    expect(page.locator(".results tbody")).to_contain_text("±")
    for name, lines in {"csv": 5, "md": 6}.items():
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"kajogaki-bench.{name}").click()
        text = saved.value.path().read_text(encoding="utf-8")
        assert text.count("\n") == lines and "perplexity" in text
    page.screenshot(path=models_site.folder.parent / "comparison.png")


@pytest.mark.thorough
def test_a_folder_is_converted_and_a_bad_one_explained(
    visit: Visit, models_site: ModelsSite
) -> None:
    page = visit()
    page.locator("summary", has_text="Hugging Face のフォルダー").click()
    source = llama_folder(models_site.folder / "tiny-llama")  # a folder that the page may look into
    page.get_by_label("フォルダーの場所").fill(str(source))
    page.get_by_role("button", name="変換する").click()
    expect(model(page, "tiny-llama-F16")).to_be_visible(timeout=60_000)
    expect(page.locator(".job")).to_contain_text("に変換しました")
    (source / "tokenizer.json").unlink()
    page.get_by_label("型", exact=True).select_option("Q8_0")
    page.get_by_role("button", name="変換する").click()
    expect(page.locator(".job.bad")).to_contain_text("tokenizer.json", timeout=60_000)
    names = sorted(path.name for path in models_site.folder.iterdir())
    assert names == ["tiny-llama", "tiny-llama-F16.gguf"]


def test_an_answer_like_the_last_one_is_not_the_last(visit: Visit, models_site: ModelsSite) -> None:
    """Each question was armed by an answer, and Gradio does not tell of one that is the same."""
    page = visit()
    expect(page.get_by_role("heading", name="手元のモデル")).to_be_visible()
    answers: list[str] = []

    def repeat_the_first(route: Route) -> None:
        if '"poll"' not in (route.request.post_data or ""):
            route.continue_()
        elif not answers:
            answers.append(route.fetch().text())
            route.fulfill(body=answers[0], content_type="application/json")
        elif len(answers) == 1:
            answers.append(answers[0])
            route.fulfill(body=answers[0], content_type="application/json")
        else:
            route.continue_()

    page.route("**/gradio_api/run/predict**", repeat_the_first)
    while len(answers) < 2:
        page.wait_for_timeout(200)
    shutil.copy(BUILTIN_DIR / "standin.gguf", models_site.folder / "another.gguf")
    expect(model(page, "another")).to_be_visible(timeout=30_000)


@pytest.mark.thorough
def test_an_embedder_comes_as_a_folder(visit: Visit, models_site: ModelsSite) -> None:
    for file in ("model.safetensors", "config.json"):
        models_site.hub.add("cl-nagoya/ruri-v3-30m", file, b"{}" * 1000)
    page = visit()
    page.get_by_role("button", name="文書検索用").click()
    card = page.locator('[data-entry="ruri-v3-30m"]')
    card.get_by_role("button", name="ダウンロード").click()
    page.get_by_role("dialog").get_by_role("button", name="ダウンロード").click()
    expect(card).to_contain_text("手元にあります", timeout=30_000)
    folder = models_site.folder / "ruri-v3-30m"
    assert {path.name for path in folder.iterdir()} >= {"model.safetensors", "config.json"}


@pytest.mark.thorough
def test_pause_resume_and_cancel(visit: Visit, models_site: ModelsSite) -> None:
    models_site.hub.bytes_per_s = 2_000_000
    page = visit()
    begin_download(page)
    download = page.locator(".download")
    expect(download).to_contain_text(re.compile(r"受け取り中.*MB/s"))
    expect(download.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")
    download.get_by_role("button", name="一時停止").click()
    expect(download).to_contain_text("一時停止中")
    (part,) = models_site.folder.glob("*.part")
    size = part.stat().st_size
    assert size > 0
    page.reload()
    page.get_by_role("link", name="モデル", exact=True).click()
    expect(download).to_contain_text("一時停止中")
    download.get_by_role("button", name="再開").click()
    expect(download).to_contain_text("受け取り中")
    download.get_by_role("button", name="やめる").click()
    page.get_by_role("dialog").get_by_role("button", name="やめて消す").click()
    expect(download).to_have_count(0)
    assert list(models_site.folder.iterdir()) == []


@pytest.mark.thorough
def test_what_the_hub_refuses_is_one_sentence(visit: Visit, models_site: ModelsSite) -> None:
    models_site.hub.gated.add(ENTRY.repository)
    page = visit()
    begin_download(page)
    expect(page.locator(".download .bad")).to_contain_text("HF_TOKEN", timeout=20_000)
    page.locator(".catalogue .other summary").click()
    page.get_by_role("textbox", name="リポジトリ").fill("../../etc")
    page.get_by_role("textbox", name="ファイル名").fill("x.gguf")
    page.locator(".catalogue .other button").click()
    expect(page.get_by_role("alert")).to_contain_text("リポジトリの名前ではありません")


@pytest.mark.thorough
def test_options_show_their_cost_before_they_are_saved(
    visit: Visit, models_site: ModelsSite, model_bytes: bytes
) -> None:
    (models_site.folder / "own.gguf").write_bytes(model_bytes)
    (models_site.folder / "bad.gguf").write_bytes(model_bytes[:50_000])
    page = visit()
    expect(model(page, "bad")).to_contain_text("途中で切れています")
    card = model(page, "own")
    need = card.locator(".need p").first
    before = need.text_content()
    card.locator("summary").click()
    card.get_by_label("文脈の長さ").fill("32768")
    card.get_by_label("文脈の長さ").press("Tab")
    expect(need).not_to_have_text(before or "")
    card.get_by_role("button", name="保存").click()
    page.reload()
    page.get_by_role("link", name="モデル", exact=True).click()
    card.locator("summary").click()
    expect(card.get_by_label("文脈の長さ")).to_have_value("32768")
    card.get_by_label("スレッド数").fill("-1")
    card.get_by_label("スレッド数").press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("n_threads")


@pytest.mark.thorough
def test_hostile_names_are_only_text(visit: Visit, models_site: ModelsSite, standin: Path) -> None:
    shutil.copy(standin, models_site.folder / "<img src=x onerror=document.title=1>.gguf")
    page = visit()
    expect(page.locator("#models-view")).to_contain_text("<img src=x")
    assert page.locator("#models-view img").count() == 0


@pytest.mark.thorough
def test_it_fits_a_phone_by_day_and_by_night(visit: Visit, models_site: ModelsSite) -> None:
    for scheme in ("light", "dark"):
        page = visit(viewport=PHONE, color_scheme=scheme)
        expect(entry(page)).to_be_visible()
        width = page.evaluate("document.querySelector('.models-scroll').scrollWidth")
        assert width <= PHONE["width"], "nothing to scroll sideways"
        page.get_by_role("link", name="チャット", exact=True).click()
        expect(page.locator("#composer textarea")).to_be_visible()
