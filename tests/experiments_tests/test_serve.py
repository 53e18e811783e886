"""`tailor serve` as a real process: image files, MLflow's protocol and its client, metrics, and what it refuses."""

from __future__ import annotations

import base64
import http.client
import io
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from browsers import WITH_BROWSER, keep_picture, open_browser, set_width
from conftest import Shell
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from PIL import Image
from servers import tailor_serve

from tailor import predict
from tailor.experiments.errors import InputError
from tailor.experiments.serving.app import MOST_BYTES, MOST_PIXELS
from tailor.experiments.serving.scoring import parse_images
from tailor.experiments.serving.server import Supervisor

DIGIT = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "digit.png"


@pytest.fixture(scope="module")
def address(recorded: Shell) -> Iterator[str]:
    with tailor_serve(recorded.folder, "digits") as found:
        yield found


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def test_an_image_file_is_classified_as_by_tailor_predict(recorded: Shell, address: str) -> None:
    status, text = ask(f"{address}/predict?top=10", DIGIT.read_bytes())
    answer = json.loads(text)
    raw = np.asarray(Image.open(DIGIT).convert("L"), np.uint8).reshape(1, 8, 8, 1)
    wanted = predict("digits", raw, store=recorded.folder / "mlruns")[0]
    assert status == 200 and answer["name"] == "digits" and answer["version"] == "1" and answer["latency_ms"] > 0
    assert [one["label"] for one in answer["classes"]] == [str(i) for i in wanted.argsort()[::-1]]
    assert np.allclose([one["probability"] for one in answer["classes"]], np.sort(wanted)[::-1], atol=1e-5)
    assert answer["changes"] == [] and answer["warnings"] == []


def test_an_inverted_image_of_another_size_and_colour_gets_the_same_answer(address: str) -> None:
    pixels = np.asarray(Image.open(DIGIT).convert("L"))
    sent = as_png(Image.fromarray(255 - pixels).convert("RGB").resize((80, 80), Image.Resampling.NEAREST))
    answer = json.loads(ask(f"{address}/predict", sent)[1])
    assert answer["changes"] == ["converted to gray", "resized from 80×80 to 8×8", "inverted, light for dark"]
    assert answer["warnings"] == []
    assert answer["classes"][0]["label"] == json.loads(ask(f"{address}/predict", DIGIT.read_bytes())[1])["classes"][0]["label"]
    left = json.loads(ask(f"{address}/predict?invert=never", sent)[1])
    assert "inverted it would not" in left["warnings"][0] and len(left["changes"]) == 2


def test_mlflows_own_client_gets_mlflows_answer(recorded: Shell, address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready()
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    wanted = predict("digits", images, store=recorded.folder / "mlruns")
    assert np.allclose(client.invoke(images)["predictions"], wanted, atol=1e-5)
    named = json.dumps({"inputs": {"images": images.tolist()}}).encode()
    assert np.allclose(json.loads(ask(f"{address}/invocations", named)[1])["predictions"], wanted, atol=1e-5)
    assert client.get_version()


def test_images_in_json_have_to_be_raw_pixels_of_the_models_shape() -> None:
    good = parse_images(b'{"instances": [[[[0], [255.0]]]]}', (1, 2, 1))
    assert good.dtype == np.uint8 and good.tolist() == [[[[0], [255]]]]
    for body, said in {
        b"x": "expected JSON",
        b"[]": "expected JSON",
        b"5": "expected JSON",
        b"null": "expected JSON",
        b'{"dataframe_split": {}}': "expected JSON",
        b'{"inputs": {"a": [1], "b": [2]}}': "expected one tensor, got 2",
        b'{"instances": {"a": [1], "b": [2]}}': "instances: expected one tensor, got 2: a, b.",
        b'{"inputs": [[1], [1, 2]]}': "expected JSON",
        b'{"inputs": []}': "(n, 1, 2, 1), got",
        b'{"inputs": [["a"]]}': "(n, 1, 2, 1), got",
        b'{"inputs": [[[[0], [0.5]]]]}': "whole numbers from 0 to 255",
        b'{"inputs": [[[[0], [256]]]]}': "whole numbers from 0 to 255",
        b'{"inputs": [[[[0], [NaN]]]]}': "whole numbers from 0 to 255",
        b"[" * 100_000: "expected JSON",
        b'{"inputs": {"a": [[1], [1, 2]]}}': "expected JSON",
        b'{"instances": "abc"}': "got",
        b'{"inputs": 5}': "got",
    }.items():
        with pytest.raises(InputError, match="expected") as raised:
            parse_images(body, (1, 2, 1))
        assert said in str(raised.value) and str(raised.value).count("expected") == 1  # no error inside another


def test_what_is_no_image_or_too_large_is_refused(address: str) -> None:
    status, text = ask(f"{address}/predict", b"no image")
    assert status == 400 and "not an image" in json.loads(text)["detail"]
    side = int(MOST_PIXELS**0.5) + 1
    status, text = ask(f"{address}/predict", as_png(Image.new("1", (side, side))))
    assert status == 400 and f"at most {MOST_PIXELS:,} pixels" in json.loads(text)["detail"]
    icon = io.BytesIO()  # Pillow decodes it to tell its size
    Image.new("1", (256, 256)).save(icon, "ICO")
    status, text = ask(f"{address}/predict", icon.getvalue())
    assert status == 400 and "not an image" in json.loads(text)["detail"]
    status, text = ask(f"{address}/predict", b"--x", **{"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 400 and "`--data-binary @FILE` in place of `-F`" in json.loads(text)["detail"]
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("POST", "/predict", headers={"Content-Length": str(MOST_BYTES + 1)})  # no byte of it is read
    assert connection.getresponse().status == 413
    connection.close()
    chunks = (bytes(1_000_000) for _ in range(MOST_BYTES // 1_000_000 + 1))
    connection.request("POST", "/predict", body=chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 413
    status, text = ask(f"{address}/invocations", b'{"instances": [[1]]}')
    assert status == 400 and json.loads(text)["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("body", "says"), [(rb'{"\ud800": 1}', r"(got \ud800)."), (rb'{"inputs": {"\ud800": 1, "b": 2}}', r"got 2: b, \ud800.")]
)
def test_half_a_character_in_json_is_refused_by_its_escape(address: str, body: bytes, says: str) -> None:
    """JSON may hold it; UTF-8, in which the server answers, may not."""
    status, text = ask(f"{address}/invocations", body)
    answer = json.loads(text)
    assert status == 400 and answer["error_code"] == "BAD_REQUEST" and answer["message"].endswith(says), answer


def test_another_host_is_refused(address: str) -> None:
    port = address.rpartition(":")[2]
    assert ask(f"{address}/healthz", Host="evil.example")[0] == 400  # a page elsewhere whose name leads to 127.0.0.1
    assert ask(f"{address}/healthz", Host=f"localhost:{port}")[0] == 200


def test_health_and_metrics(address: str) -> None:
    assert json.loads(ask(f"{address}/healthz")[1]) == {"status": "ok", "name": "digits", "version": "1", "trouble": ""}
    assert "digits" in ask(f"{address}/card")[1]
    ask(f"{address}/predict", DIGIT.read_bytes())
    ask(f"{address}/nowhere/{'x' * 50}")
    text = ask(f"{address}/metrics")[1]
    assert 'tailor_requests_total{path="/predict",status="200"}' in text
    assert 'tailor_requests_total{path="other",status="404"} ' in text and "xxxx" not in text
    assert 'tailor_request_seconds_bucket{le="0.001",path="/predict"}' in text
    assert 'tailor_model_version{name="digits"} 1.0' in text


def test_a_model_that_is_not_there_and_a_port_that_is_taken_are_one_line(recorded: Shell, address: str) -> None:
    done = recorded("serve", "nothing")
    assert done.returncode == 2 and "there is no registered model 'nothing'" in done.stderr
    done = recorded("serve", "digits", "--port", address.rpartition(":")[2])
    assert done.returncode == 2 and "--port" in done.stderr and "cannot be used" in done.stderr


@WITH_BROWSER
def test_a_png_that_is_dropped_on_the_page_is_answered_there(address: str, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    drop = """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
        data.items.add(new File([bytes], "digit.png", { type: "image/png" }));
        const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        document.getElementById("zone").dispatchEvent(event);
    """
    pixels = np.asarray(Image.open(DIGIT).convert("L"))
    sent = as_png(Image.fromarray(255 - pixels).resize((80, 80), Image.Resampling.NEAREST))
    wanted = json.loads(ask(f"{address}/predict?top=5", sent)[1])
    with open_browser(tmp_path) as browser:
        browser.get(address)
        browser.execute_script(drop, base64.b64encode(sent).decode())
        lines = WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#classes li"))
        shown = [line.text.split() for line in lines]
        assert shown == [[one["label"], f"{100 * one['probability']:.1f}", "%"] for one in wanted["classes"]]
        text = browser.find_element(By.TAG_NAME, "body").text
        assert "digits" in text and "version 1" in text and "ms in the server" in text
        assert "resized from 80×80 to 8×8" in text and "inverted, light for dark" in text
        seen = browser.find_element(By.ID, "seen")
        assert [seen.get_property("naturalWidth"), seen.get_property("naturalHeight")] == [8, 8]
        keep_picture(browser, "serve.png")

        browser.find_element(By.ID, "draw").click()
        pad = browser.find_element(By.ID, "pad")
        ActionChains(browser).move_to_element_with_offset(pad, 0, -100).click_and_hold().move_by_offset(
            0, 190
        ).release().perform()
        WebDriverWait(browser, 60).until(lambda b: "resized from 280×280 to 8×8" in b.find_element(By.ID, "changes").text)
        browser.execute_script(drop, base64.b64encode(b"no image").decode())
        error = browser.find_element(By.ID, "error")
        WebDriverWait(browser, 60).until(lambda _: "not an image that can be read" in error.text)
        refused = [entry["message"] for entry in browser.get_log("browser") if "400" not in entry["message"]]
        assert refused == []  # neither a script, nor a style, nor an address that the policy forbids


@WITH_BROWSER
@pytest.mark.parametrize("width", [320, 360, 390, 1280])
def test_the_pad_is_square_and_draws_under_the_finger(address: str, tmp_path: Path, width: int) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    find_mark = """
        const pad = document.getElementById("pad"), found = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height).data;
        const dark = [...Array(pad.width * pad.height).keys()].filter((i) => found[4 * i] < 128);
        const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
        return [mean(dark.map((i) => i % pad.width)) / pad.width, mean(dark.map((i) => Math.floor(i / pad.width))) / pad.height];
    """
    with open_browser(tmp_path) as browser:
        set_width(browser, width)
        browser.get(address)
        browser.find_element(By.ID, "draw").click()
        pad = browser.find_element(By.ID, "pad")
        right, down = 60, -40  # of the middle
        ActionChains(browser).move_to_element_with_offset(pad, right, down).click().perform()  # a dot, without a move
        size = pad.size
        assert size["width"] == size["height"] <= 280
        shares = [0.5 + right / size["width"], 0.5 + down / size["height"]]
        assert browser.execute_script(find_mark) == pytest.approx(shares, abs=0.01)
        keep_picture(browser, f"pad-{width}.png")


@WITH_BROWSER
def test_the_page_says_why_there_is_no_camera_by_another_name_than_localhost(address: str, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    with open_browser(tmp_path) as browser:
        browser.get(address)
        browser.execute_script('Object.defineProperty(navigator, "mediaDevices", { value: undefined });')  # as it is there
        browser.find_element(By.ID, "camera").click()
        error = browser.find_element(By.ID, "error")
        WebDriverWait(browser, 60).until(lambda _: error.text)
        assert error.text == "Browsers allow the camera on https or localhost only; use “Choose a file” instead."


def test_a_closed_terminal_ends_several_processes_unless_it_is_ignored() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    ended = []
    try:
        for handler in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGHUP, handler)
            supervisor = Supervisor(uvicorn.Config("none:none", workers=2), [])
            signal.raise_signal(signal.SIGHUP)
            supervisor.handle_signals()
            ended.append(supervisor.should_exit.is_set())
    finally:
        for number, old in before.items():
            signal.signal(number, old)
    assert ended == [True, False]
