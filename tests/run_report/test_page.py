import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sleap_io as sio
from run_folders import write_run

from sleap_nn.run_report import page, tables
from sleap_nn.run_report.page import make_page

EMPTY_TAGS = {"meta", "link", "img", "br"}
SECTIONS = ["know", "curves", "metrics", "errors", "frames", "trained", "data", "settings"]


class Outline(HTMLParser):
    """Collects elements, and checks that every one is closed where it was opened."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY_TAGS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_WORK", 0)


@pytest.fixture(scope="module")
def text(single: Path) -> str:
    return make_page(single)


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def plain(text: str) -> str:
    """Return the text of a page on one line."""
    return " ".join(" ".join(Outline(text).text).split())


@pytest.mark.parametrize(
    "words",
    [
        "Single instance: one animal a frame",
        "UNet (filters 8, filters_rate 1.5, max_stride 16)",
        "Parameters 123,456",
        "9 nodes: snout, left_ear",
        "trainer_config.optimizer.lr 0.003 0.0001",
        "What training filled in",
        "PyTorch 1.2.3",
        "sleap-io 9.8.7",
        "GPU A fine GPU",
        "Precision auto",
        "36.0 s (12.0 s an epoch)",
        "train labels.pkg.slp 2 10 10",
        "Frames 2 train, 1 validate",
        "best epoch: 1",
        "Learning rate",
        "Median error",
        "95 % interval:",
        "Visibility recall",
        "Errors by node",
        "Error by confidence",
        "Share of points within a distance",
        "Worst frames",
        "Few frames in val",
        "The same for train",
    ],
)
def test_the_page_says_what_was_trained_and_how_well(text: str, words: str):
    assert words in plain(text)


def test_every_section_has_a_heading_and_a_link(outline: Outline):
    assert [heading["id"] for heading in outline.named("h2") if "id" in heading] == SECTIONS
    links = [link["href"] for link in outline.named("a")]
    assert links == [f"#{section}" for section in SECTIONS]
    assert len(outline.named("h1")) == 1


def test_the_page_stands_alone(text: str, outline: Outline):
    without_images = re.sub(r"base64,[^\"]+", "", text)
    assert not re.search(r"https?:|src=\"(?!data:)|src=[^\"]|@import|url\(|//", without_images)
    assert outline.named("script") == []
    policy = next(meta for meta in outline.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    sources = {str(image["src"]).partition(",")[0] for image in outline.named("img")}
    assert sources == {"data:image/jpeg;base64"}
    assert len(text) < 1_000_000


def test_the_page_is_for_everyone(outline: Outline):
    assert outline.named("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.named("meta")
    assert all(image["alt"] and "labels as rings" in image["alt"] for image in outline.named("img"))
    charts = [picture for picture in outline.named("svg") if picture.get("class") == "plot"]
    assert len(charts) > 8
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert all(cell.get("scope") in ("row", "col") for cell in outline.named("th"))
    scrolling = [region for region in outline.named("div") if region.get("class") == "scroll"]
    assert len(scrolling) == len(outline.named("table"))
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in scrolling)


def test_the_style_knows_light_dark_and_small(text: str):
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    assert "max-width: 600px" in text
    used = set(re.findall(r"var\((--\w+)\)", text))
    dark = text.partition("prefers-color-scheme: dark")[2].partition("}\n}")[0]
    assert used - {"--c"} <= set(re.findall(r"(--\w+):", dark))


def test_a_centroid_model_has_its_own_numbers(tmp_path: Path):
    write_run(tmp_path / "run", "centroid", num_animals=2)
    words = plain(make_page(tmp_path / "run"))
    assert "Animals found" in words
    assert "Identity right" in words
    assert "how far centroids are off" in words
    assert "Errors by node" not in words
    assert "mOKS" not in words


HOSTILE = "<script>alert('x')</script>\"&{{ 7 * 7 }}"


def test_hostile_names_are_text(tmp_path: Path):
    folder = tmp_path / "<b>run<b> & {{ 7 * 7 }}"
    write_run(folder)
    for path in folder.glob("labels_*.slp"):
        labels = sio.load_slp(str(path))
        labels.skeletons[0].rename_nodes({"snout": HOSTILE})
        labels.save(str(path), embed=False, verbose=False)
    split = {"method": "<script>", "seed": 1, "files": [], "settings": {"<img src=x>": "<b>"}, "held_out": []}
    (folder / "split.json").write_text(json.dumps(split))
    (folder / "training_log.csv").write_text("epoch,train/loss,val/<script>_loss\n0,1,2\n1,1,2\n")
    config = folder / "training_config.yaml"
    config.write_text(config.read_text().replace("name: ''", f"name: {HOSTILE!r}", 1))
    text = make_page(folder)
    outline = Outline(text)
    assert outline.named("script") == outline.named("b") == []
    assert not any(image["src"] == "x" for image in outline.named("img"))
    assert HOSTILE in plain(text)
    assert "49" not in plain(text).partition(HOSTILE)[2][:4]
    assert "<b>run<b> & {{ 7 * 7 }}" in plain(text)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("training_log.csv", ["There are no predictions to compare with labels.", "There are no labels.", "best ep"]),
        ("training_config.yaml", ["There is no training_log.csv.", "There are no metrics.", "UNet"]),
        ("labels_gt.train.0.slp", ["There are no predictions for labels_gt.train.0.slp.", "9 nodes"]),
        ("labels_pr.train.0.slp", ["labels_pr.train.0.slp has no labels", "There is nothing to judge the model by."]),
    ],
)
def test_a_folder_with_a_single_file_has_a_page(single: Path, tmp_path: Path, kept: str, words: list[str]):
    (tmp_path / "run").mkdir()
    shutil.copy(single / kept, tmp_path / "run")
    said = plain(make_page(tmp_path / "run"))
    assert all(sentence in said for sentence in words)


def test_frames_that_cannot_be_read_leave_the_numbers(single: Path, tmp_path: Path):
    folder = Path(shutil.copytree(single, tmp_path / "run"))
    (folder / "labels.pkg.slp").unlink()
    package = single / "labels.pkg.slp"
    hidden = package.with_suffix(".hidden")
    package.rename(hidden)
    try:
        said = plain(make_page(folder))
    finally:
        hidden.rename(package)
    assert "There are no frames to show." in said
    assert said.count("does not exist here") == 1
    assert "Median error" in said


def test_the_template_is_installed_with_the_package():
    import tomllib

    root = Path(page.__file__).parents[2]
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    files = {path.name for path in Path(page.__file__).parent.iterdir() if path.suffix not in (".py", "")}
    assert set(listed["sleap_nn.run_report"]) == files
