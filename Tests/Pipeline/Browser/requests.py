"""Speaks HTTP to the dashboard of a run at work as strangers, other pages and Prometheus do.

    requests.py URL

Prints `metrics parsed` where prometheus_client is there to parse what it got. Fails with the first wrong answer.
"""
import http.client
import json
import sys
import time
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
host = url.netloc
token = dict(urllib.parse.parse_qsl(url.query)).get("token")


def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def expect(status, what, answer):
    if answer[0] != status:
        sys.exit(f"{what}: {answer[0]} instead of {status}: {answer[1][:200]!r}")
    return answer


bearer = token and "Bearer " + token
stop = json.dumps({}).encode()
page = dict(Content_Type="application/json", Origin="http://" + host, Authorization=bearer)
if token:
    for path in ("/", "/api/state", "/metrics", "/?token=" + token[:-1] + "x"):
        expect(401, "without the token, " + path, ask("GET", path))
    expect(401, "with a wrong token", ask("GET", "/metrics", Authorization="Bearer " + "0" * len(token)))
    expect(401, "a stop without the token", ask("POST", "/api/stop", stop, **dict(page, Authorization=None)))
    cookie = expect(303, "the token's URL", ask("GET", "/?token=" + token))[2]["Set-Cookie"]
    if "HttpOnly" not in cookie or "SameSite=Lax" not in cookie:
        sys.exit(f"the cookie is {cookie}")
    expect(200, "with the cookie", ask("GET", "/", Cookie="other=1; " + cookie.split(";")[0]))
else:
    for name in ("evil.example", "evil.example:" + str(url.port), "127.0.0.1.evil.example", "localhost.evil.example"):
        expect(403, "a rebound name, " + name, ask("GET", "/api/state", Host=name))
    expect(200, "through a tunnel", ask("GET", "/", Host="localhost:9999"))

_, _, headers = expect(200, "the page", ask("GET", "/", Authorization=bearer))
policy = headers["Content-Security-Policy"]
if "default-src 'none'" not in policy or "unsafe" in policy or headers["X-Content-Type-Options"] != "nosniff":
    sys.exit(f"the page's headers are {headers}")
for path in ("/nothing", "/panels/../recipe.yaml", "/panels/%2e%2e/recipe.yaml", "/panels/step-000001/..%2f..%2frecipe.yaml"):
    expect(404, path, ask("GET", path, Authorization=bearer))
expect(403, "another page's stop", ask("POST", "/api/stop", stop, **dict(page, Origin="http://evil.example")))
expect(403, "a stop of no page", ask("POST", "/api/stop", stop, **dict(page, Origin=None)))
expect(403, "another site's stop", ask("POST", "/api/stop", stop, **dict(page, Sec_Fetch_Site="cross-site")))
expect(415, "a form's stop", ask("POST", "/api/stop", stop, **dict(page, Content_Type="text/plain")))
expect(413, "a long body", ask("POST", "/api/stop", b" " * 100_000, **page))
expect(405, "another method", ask("DELETE", "/api/stop", **page))
expect(400, "no JSON", ask("POST", "/api/scale", b"{", **page))
refusal = expect(409, "an unknown stage", ask("POST", "/api/scale", json.dumps({"stages": {"laoder": 2}}).encode(), **page))
if "did you mean 'loader'?" not in json.loads(refusal[1])["error"]:
    sys.exit(f"the refusal is {refusal[1]}")
program = json.dumps({"stage": "miner", "set": [], "exec": ["sh", "-c", "true"]}).encode()
expect(409, "a program over the network", ask("POST", "/api/swap", program, **page))

state = json.loads(expect(200, "the state", ask("GET", "/api/state", Authorization=bearer))[1])
if state["report"]["phase"] != "training":
    sys.exit(f"the run is {state['report']['phase']}: some request above was obeyed")

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    sys.exit(0)
deadline = time.monotonic() + 60
while True:
    _, text, headers = expect(200, "metrics", ask("GET", "/metrics", Authorization=bearer))
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    links = {sample.labels["link"] for sample in families.get("picoflow_link_received_bytes", ()) and
             families["picoflow_link_received_bytes"].samples if sample.value > 0}
    if links >= {"samples", "mining", "memory"} and families["picoflow_step"].samples[0].value > 0:
        break
    if time.monotonic() > deadline:
        sys.exit(f"metrics of the links are missing: {sorted(families)}, {links}")
    time.sleep(0.2)
if not headers["Content-Type"].startswith("text/plain; version=0.0.4"):
    sys.exit(f"metrics are {headers['Content-Type']}")
cpu = {sample.labels["stage"] for sample in families["picoflow_stage_cpu_seconds"].samples if sample.value > 0}
if families["picoflow_stage_cpu_seconds"].type != "counter" or cpu != {"loader", "compute", "bank", "miner"}:
    sys.exit(f"cpu seconds of {cpu}")
print("metrics parsed")
