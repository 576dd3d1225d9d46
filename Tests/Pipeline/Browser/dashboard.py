"""Drives the dashboard of a run at work in a headless Chromium, by the WebDriver protocol.

    dashboard.py URL [--screenshots DIR] [--leave]

Scales and swaps by its buttons, looks at it at the width of a phone, in light and in dark, and at last stops the run, unless told
to leave it. Fails with the first thing that is not as it should be. Needs chromium and chromedriver (Debian: chromium,
chromium-driver) and no Python package.
"""
import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

options = argparse.ArgumentParser()
options.add_argument("url")
options.add_argument("--screenshots")
options.add_argument("--leave", action="store_true")
options = options.parse_args()
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"


class Browser:
    def __init__(self):
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.root = f"http://127.0.0.1:{found[1]}/session"
                break
        else:
            sys.exit("chromedriver did not start")
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--force-device-scale-factor=1"]
        capabilities = {"goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments},
                        "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("", {"capabilities": {"alwaysMatch": capabilities}})
        self.root += "/" + session["sessionId"]

    def call(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"},
                                         method=method or ("POST" if body is not None else "GET"))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def close(self):
        try:
            self.call("", method="DELETE")
        finally:
            # A test's threads block the signals that can be, and its children inherit that.
            self.driver.kill()
            self.driver.wait()

    def script(self, text, *arguments):
        return self.call("/execute/sync", {"script": text, "args": list(arguments)})

    def find(self, selector):
        return self.call("/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call(f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call(f"/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self.script("return (document.querySelector(arguments[0]) || {}).textContent || ''", selector)

    def size(self, width, height):
        # The window's own size is bounded below by the browser; the page's is not.
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def cdp(self, command, **parameters):
        return self.call("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name},
                                                         {"name": "prefers-reduced-motion", "value": "reduce"}])

    def picture(self, name, most):
        if not options.screenshots:
            return
        height = self.script("return document.documentElement.scrollHeight")
        width = self.script("return document.documentElement.clientWidth")
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip=dict(x=0, y=0, width=width, height=min(height, most), scale=1))
        with open(f"{options.screenshots}/{name}.png", "wb") as file:
            file.write(base64.b64decode(shot["data"]))


def until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"in vain: {what}; the page says {browser.text('body')[:3000]!r}")
        time.sleep(0.1)


def check(what, is_so):
    if not is_so:
        raise SystemExit(f"not so: {what}")


def alive(stage):
    return int(browser.script(
        "return (document.querySelector(`[data-stage=${arguments[0]}]`) || {dataset: {}}).dataset.alive || -1", stage))


browser = Browser()
try:
    browser.size(1200, 900)
    browser.scheme("light")
    browser.call("/url", {"url": options.url})
    check("the token does not stay in the address", "token" not in browser.call("/url"))
    until("the run trains", lambda: browser.text("#phase") == "training")
    until("steps are counted", lambda: re.search(r"Step[1-9]", browser.text("#facts")))
    for stage in ("loader", "compute", "bank", "miner"):
        until(f"a {stage} is drawn", lambda: alive(stage) >= 1)
    for link in ("samples", "anchors", "gradients", "keys", "log"):
        until(f"{link} are drawn", lambda: re.search(link + r"[^/]*?[\d.]+/s[\d.]+ [KM]?i?B/s", browser.text("#edges")))
        until(f"{link} flow", lambda: browser.script(
            "return state.report.links.find(link => link.label === arguments[0]).perSecond > 0", link))

    # Scale, by the mouse.
    loaders = alive("loader")
    browser.click("[aria-label='One loader more']")
    until("the new loader is drawn", lambda: alive("loader") == loaders + 1)
    until("the new loader is listed", lambda: f"loader-{loaders + 1}" in browser.text("#processes"))

    # Swap: a wrong value first.
    browser.click("#swap")
    check("the present strategy is shown",
          browser.script("return document.querySelector('[name=\"sampler.strategy\"]').value") == "semi-hard")
    browser.type("[name='more']", "sampler.pool=7")
    browser.click("#swap-form [type=submit]")
    until("what is wrong is said", lambda: "pool" in browser.text("#swap-error"))
    browser.script("document.querySelector('[name=more]').value = ''")
    browser.type("[name='sampler.strategy']", "hardest")
    browser.click("#swap-form [type=submit]")
    until("the swap holds", lambda: "swap 1, sampler.strategy=hardest" in browser.text("#news"))
    until("the dialog is closed", lambda: not browser.script("return document.getElementById('swap-dialog').open"))

    until("curves are drawn", lambda: browser.script("return document.querySelectorAll('#plots path.line').length") >= 4)
    until("the log is shown", lambda: "info loader-1@" in browser.text("#log"))
    until("the supervisor's log is shown", lambda: f": loader: {loaders} → {loaders + 1}" in browser.text("#log"))
    until("the memory is drawn", lambda: browser.script(
        "return !document.getElementById('memory').hidden && memory.map.x.length > 20"))
    time.sleep(6 if options.screenshots else 0)  # until what pops up has gone
    browser.picture("dashboard-light", 1280)
    browser.scheme("dark")
    check("dark is dark", browser.script("return getComputedStyle(document.documentElement).backgroundColor")
          == "rgb(16, 20, 27)")
    browser.picture("dashboard-dark", 1280)
    browser.size(390, 844)
    until("the phone's page is no wider than the phone",
          lambda: browser.script("return document.documentElement.scrollWidth") <= 390)
    until("the graph fits", lambda: browser.script(
        "return [...document.querySelectorAll('.node')].every(node => node.getBoundingClientRect().right <= 390)"))
    time.sleep(2 if options.screenshots else 0)
    browser.picture("dashboard-phone", 1300)
    # Scale, by the keyboard.
    browser.type("[aria-label='One loader fewer']", ENTER)
    until("the new loader has left", lambda: alive("loader") == loaders)
    # Every control can be reached and has a name.
    nameless = browser.script(
        "return [...document.querySelectorAll('button, select, input')].filter(e => !e.textContent.trim() "
        "&& !e.getAttribute('aria-label') && !e.closest('label')).length")
    check("every control has a name", nameless == 0)

    if not options.leave:
        browser.click("#stop")
        browser.click("#stop-form [type=submit]")
        until("the run stops", lambda: browser.text("#phase") in ("stopping", "ended", "no answer"))
    severe = [line for line in browser.call("/se/log", {"type": "browser"}) if line["level"] == "SEVERE"
              and not re.search(r"ERR_CONNECTION|ERR_EMPTY|404|409|503|Failed to fetch", line["message"])]
    check(f"the console is quiet: {severe}", not severe)
    print("scaled, swapped" + ("" if options.leave else ", stopped"))
finally:
    browser.close()
