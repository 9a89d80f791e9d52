"""Texts in which engines, servers and shells print a secret, and texts that only look so. All values are made up."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.evidence import redact
from reports.evidence.secret_shapes import SHAPES, find_secret_spans
from reports.evidence.vocabulary import find_ordinary
from tests.pace import within_cpu_s

S = "Zx9q7Lm2Wp4Rt6Yb8NcQ"  # stands in every form below
AWS = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
HEX = "4f" * 20
REAL_LOGS = sorted((CHECKOUT / "tests" / "fixtures" / "logs").glob("*.log"))


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    redact.forget_secrets()
    yield
    redact.forget_secrets()


FORMS = [
    *(
        f"{lead}{S}{S}"
        for lead in ("ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "nvapi-", "hf_", "sk-", "npm_", "gsk_")
    ),
    f"eyJ{S}.eyJ{S}.{S}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n{S}=\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{S}\\n{S}",
    f"Cookie: a=b; session={S}",
    f"Set-Cookie: sid={S}; Path=/",
    f"{{'cookie': 'sid={S}'}}",
    f"Authorization: Basic {S}==",
    f"authorization: Bearer {S}",
    f"(b'authorization', b'Bearer {S}')",
    f"Authorization: {S}",
    f"X-Api-Key: {S}",
    f"{{'X-Api-Key': '{S}'}}",
    f"X-Auth-Token: {S}",
    f"Ocp-Apim-Subscription-Key: {S}",
    f'{{"api_key": "{S}"}}',
    f'{{\\"api_key\\": \\"{S}\\"}}',
    f'"{{\\\\\\"access_token\\\\\\": \\\\\\"{S}\\\\\\"}}"',
    f"Authorization: Bearer abcdefgh\n{S}",
    f"got Bearer abcdefgh\r\n  {S}\r\nHost: h",
    f"hf_app_{S}{S}",
    f"api_org_{S}{S}",
    f"client secret abc8Q~{S}{S} refused",
    f"glpat-{S}.01.{S}",
    f"apiKey: '{S}'",
    f"client_secret={S}",
    f"ServerArgs(host='0.0.0.0', api_key='{S}', admin_api_key=None)",
    f"non-default args: {{'api_key': ['{S}']}}",
    f"['--api-key', '{S}']",
    f'["--api-key","{S}"]',
    f"('--hf-token', '{S}')",
    f"--api-key {S}",
    f"--api-key={S}",
    f"--ssl-keyfile-password {S}",
    f"--token '{S}'",
    f"curl -u user:{S} http://h",
    f"machine h login u password {S}",
    f"GET /v1?token={S}&x=1",
    f"https://h/k?X-Amz-Signature={S}&x=1",
    f"https://h/?a=1&sig={S}",
    f"&access_token={S}#x",
    f"https://u:{S}@h/",
    f"redis://:{S}@h:1",
    f"DB_URL=postgres://u:{S}@h/x",
    f"https://hooks.slack.com/services/T0/B0/{S}",
    f"https://discord.com/api/webhooks/1/{S}",
    f"https://api.telegram.org/bot{S}/x",
    *(
        f"{name}={S}"
        for name in (
            "GH_PAT",
            "DB_PASS",
            "AZURE_CREDENTIALS",
            "OPENAI_KEY_2",
            "MY_TOKEN2",
            "db_pass",
            "hf_token",
            "NGC_API_KEY",
            "SLACK_WEBHOOK_URL",
        )
    ),
    *(
        f"environ({{'{name}': '{S}', 'A': 'b'}})"
        for name in ("HF_TOKEN", "GH_PAT", "DB_PASS", "GCP_CREDENTIALS", "KEY_2")
    ),
    f'export WANDB_API_KEY="{S}"',
    f"AccountKey={S};Endpoint=x",
    f"password: {S}",
    f"token={S}1",
    f"clientSecret: '{S}'",
    f'"X-Vault-Token": "{S}"',
    f"PRIVATE-TOKEN: {S}",
    f"MYSQL_PWD={S}",
    f"Server=h;Uid=u;Pwd={S};",
    f"Password is {S}",
    f"os.environ['HF_TOKEN'] = '{S}'",
    *(f"HF_TOKEN{join}{S}" for join in (" -> ", " => ", " ", " | ")),
    f"<HF_TOKEN>{S}</HF_TOKEN>",
    f"<api_key>{S}</api_key>",
    f"| api_key | {S} |",
    f"api_key: Optional[str] = '{S}'",
    f"api_key=('{S}',)",
    f"api_key=SecretStr('{S}')",
    f"\x1b[32mapi_key\x1b[0m=\x1b[33m'{S}'\x1b[0m",
    # vendors of the last years
    *(f"{lead}{S}{S}" for lead in ("fw_", "tgp_v1_", "pplx-", "cfut_", "rpa_", "glsa_", "glc_", "csk-", "wandb_v1_")),
    *(
        f"{lead}{S}{S}"
        for lead in ("glrt-", "gldt-", "whsec_", "tskey-auth-k1-", "sntrys_", "secret_lambda_", "bnZhcGkt")
    ),
    f'{{"auths": {{"nvcr.io": {{"auth": "{S}"}}}}}}',
    # names by their capitals, values behind a blank or in a list
    *(f"{name}={S}" for name in ("SharedAccessKey", "openaiApiKey", "hfToken", "dbPassword")),
    f"api-key {S}",
    f"api_key:\n  - {S}",
    f"api_key=SecretValue('{S}')",
    f"sshpass -p {S} ssh host",
    f"docker login -u me -p {S} nvcr.io",
    f"postgres://u:p@{S}@h/x",
    f"PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 2\n{S}\n{S}\n",
    # escaped for where they stand
    *(f"apiKey{quote}:{quote}{S}{quote}" for quote in ("\\u0022", "&quot;", "%22", "&#34;", "\\x22")),
    f"url?api_key%3D{S}%26x",
    f"https%3A%2F%2Fme%3A{S}%40host%2F",
    f"https:\\/\\/me:{S}@host",
    # broken by a line end or a colour
    f"nvapi-aB3dE6gH9jK2\n{S}",
    f"ghp_aB3dE6gH\r\n    {S}",
    f"hf_aB3dE6gH9jK2mN5pQ8sT\\\n{S}",
    f"sk-proj-aB3dE6gH9jK2mN5pQ8sT\x1b[0m\x1b[31m{S}",
]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_lets_the_secret_through(form: str) -> None:
    clean = redact.redact_text(f"before {form} after")
    assert S not in clean and "before" in clean
    assert redact.redact_text(clean) == clean


@pytest.mark.parametrize(
    "form", [f"AKIAIOSFODNN7EXAMPLE {AWS}", f"aws_secret_access_key = {AWS}", f"AWS_SECRET_ACCESS_KEY={AWS}"]
)
def test_both_halves_of_a_cloud_key_go(form: str) -> None:
    assert AWS not in redact.redact_text(form) and "IOSFODNN" not in redact.redact_text(form)


def test_the_key_behind_a_login_goes_and_a_digest_elsewhere_stays() -> None:
    assert HEX not in redact.redact_text(f"+ wandb login --relogin {HEX}")
    assert HEX in redact.redact_text(f"commit {HEX}")


def test_what_follows_a_headers_value_stays() -> None:
    behind = "Content-Length: 12\nX-Request-Id2: Ab1\nGPU memory 80GiB"
    assert behind in redact.redact_text(f"Authorization: Bearer {S}\n{behind}")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_hides_the_same_forms_byte_for_byte(form: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(f"before\n{form}\nafter\n")
    size = path.stat().st_size
    redact.redact_files([tmp_path])
    if "\x1b" not in form:
        assert S not in path.read_text()
    assert path.stat().st_size == size and path.read_text().startswith("before\n")


K = "Zx9-q7Lm2Wp4/Rt6Yb8Nc"
ENCODED = {
    "upper": K.upper(),
    "lower": K.lower(),
    "base64": base64.b64encode(K.encode()).decode(),
    "base64 of user:password": base64.b64encode(b"user:" + K.encode()).decode(),
    "base64 inside": base64.b64encode(b"us" + K.encode() + b"more").decode(),
    "base64 for URLs": base64.urlsafe_b64encode(b"u" + K.encode()).decode(),
    "hex": K.encode().hex(),
    "HEX": K.encode().hex().upper(),
    "URL": K.replace("-", "%2D").replace("/", "%2f"),
    "URL, all": "".join(f"%{c:02X}" for c in K.encode()),
    "Python": "".join(f"\\x{c:02x}" for c in K.encode()),
    "JSON": "".join(f"\\u{ord(c):04x}" for c in K),
    "HTML": K.replace("/", "&#x2F;").replace("-", "&#45;"),
    "line end": f"{K[:8]}\n{K[8:]}",
    "CRLF and indent": f"{K[:8]}\r\n    {K[8:]}",
    "colour": f"{K[:5]}\x1b[1m{K[5:]}",
    "escaped line end": f"{K[:8]}\\n{K[8:]}",
    "line of a log": f"{K[:8]}\n[2026-11-29 02:03:25 TP0] {K[8:]}",
    "line of a process": f"{K[:8]}\n(EngineCore pid=7) {K[8:]}",
    "box": f"{K[:8]}    │\n│ {K[8:]}",
    "tab": f"{K[:8]}\t{K[8:]}",
    "null": "\0".join(K),
    "unseen": f"{K[:8]}\u200b{K[8:]}",
    "link of a terminal": f"{K[:8]}\x1b]8;;x\x07{K[8:]}",
    "two literals": f"'{K[:8]}' + '{K[8:]}'",
    "list of numbers": str(list(K.encode())),
    "list of characters": str(list(K)),
    "bytes apart": K.encode().hex(":"),
    "letters apart": " ".join(K),
    "octal": "".join(f"\\{c:03o}" for c in K.encode()),
    "URL in a URL": "".join(f"%25{c:02X}" for c in K.encode()),
    "base32": base64.b32encode(K.encode()).decode(),
}


@pytest.mark.parametrize("how", ENCODED)
def test_a_registered_value_is_hidden_in_every_form(how: str, tmp_path: Path) -> None:
    redact.register_secrets(K)
    clean = redact.redact_text(f"x {ENCODED[how]} y")
    assert "***" in clean
    assert all(ENCODED[how][i : i + 9] not in clean for i in range(3, len(ENCODED[how]) - 12, 3))
    (tmp_path / "log").write_text(f"x {ENCODED[how]} y")
    redact.redact_file(tmp_path / "log")
    assert "*******" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "innocent",
    [
        "max_tokens=512 eos_token='<|endoftext|>' stop_token_ids=[1, 2] tokenizer_path='/models/x' api_key=None",
        "skip_tokenizer_init=False, ssl_keyfile=None, hf_token=None, HF_TOKEN=$HF_TOKEN --api-key ${KEY}",
        f"sha256:{HEX}24 {HEX} commit 06edb0e",
        '{"token": "hello", "logprob": -0.1, "top_logprobs": []}',
        "KeyError: 'layers.1.self_attn.indexer.k_norm.weight'",
        "The secret code for amber fox is a1b2c3.",
        "#new-token: 20, #cached-token: 256, token usage: 0.00, gen throughput (token/s): 98.86",
        "docker run --user 1000:1000 --pass-through basic attention, cookies: none",
        "GLM-5-NVFP4 canary_bf16 sm90x1.vllm_0_33_0.canary_bf16.mtp",
        "http://127.0.0.1:8000/v1/chat/completions HTTP/1.1",
        "PWD=/root cwd=. pwd = ~/x; token -> id | token | logprob | <token>hello</token> MISSING_KEY rope_theta",
        "self_attn.indexer.k_norm.weight KEY layers 12 3 4 5 6 7 8 9 10 SECRET_WORD is amber",
    ],
)
def test_what_only_looks_like_one_stays(innocent: str) -> None:
    assert redact.redact_text(innocent) == innocent


@pytest.mark.parametrize("path", REAL_LOGS, ids=lambda p: p.stem)
def test_a_real_engines_log_is_not_changed(path: Path) -> None:
    text = path.read_text(errors="replace")
    assert redact.redact_text(text) == text


def test_every_id_of_the_matrix_stays() -> None:
    matrix = load_matrix()
    words = [*matrix.releases, *matrix.checkpoints, *matrix.rigs, *matrix.features]
    assert [w for w in words if redact.redact_text(f"a {w} b={w}") != f"a {w} b={w}"] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CACHE_KEY", "baseline", "part of"),
        ("CACHE_KEY", "canary", "part of"),
        ("cache_key", "indexcache", "part of"),
        ("DB_PASS", "HOST_ERROR", "part of"),
        ("X_TOKEN", "test_answers_first_token", "part of"),
        ("MY_SECRET_2", "cpu.llamacpp_2026_10_11549.canary_bf16.baseline", "part of"),
        ("GH_PAT", "abc", "too few"),
    ],
)
def test_a_value_that_is_an_ordinary_word_is_refused_by_its_variable(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){name}.*{said}"):
        redact.register_environment({name: value, "HF_TOKEN": S}, find_ordinary)
    assert redact.redact_text(f"{value} {S}") == f"{value} ***"


def test_switches_and_paths_of_such_names_are_no_secrets(tmp_path: Path) -> None:
    redact.register_environment(
        {"A_KEY": "1", "USE_AUTH": "true", "SSH_KEY": str(tmp_path), "PATH": "x" * 9, "PWD": "/a"}
    )
    assert redact.redact_text(f"1 true {tmp_path} {'x' * 9}") == f"1 true {tmp_path} {'x' * 9}"


def test_a_long_log_is_read_in_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = "[2026-11-29 02:01:31] Decode batch, #running-req: 1, #token: 320, token usage: 0.00, api_key='x'\n"
    path.write_text(line * 20_000 + f"api_key='{S}'\n")
    with within_cpu_s(20):
        redact.redact_file(path)
    assert S not in path.read_text()


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "key",
        "token_",
        "--",
        "eyJ",
        "-----BEGIN ",
        "a:",
        "\\",
        "secret='",
        "A_",
        "://",
        "%3D",
        "apiKey",
        "hf_Aa1aaaaa\nAa1aaaaaa",
        "hf_token is Aa1",
        "login ",
    ],
)
def test_no_shape_takes_long_on_a_hostile_text(piece: str) -> None:
    with within_cpu_s(5):
        redact.redact_text(piece * 4000)


PIECES = [
    *[
        "api_key",
        "API_KEY",
        "HF_TOKEN",
        "id_token",
        "csrf_token",
        "password",
        "DB_PASS",
        "pwd",
        "webhook",
        "KEY",
        "token",
        "accessToken",
        "usage",
    ],
    *(
        "\u017fecret",
        "\u0131d_token",
        "\u212aEY",
        "\u0130",
        S,
        S + S,
        "a",
        "2",
        " ",
        "=",
        ": ",
        "'",
        '"',
        "_",
        "-",
        " | ",
        ">",
    ),
]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example(f"a token: \u017fecret={S}").via("lower() says no 'secret' there, and the expression does")
@example("\u0130" * 9 + f" api_key={S}").via("lower() is longer than the text")
@example(f"HF_TOKEN_KEY={S} API_KEY2 | {S}")
def test_looking_at_names_alone_finds_what_looking_everywhere_does(text: str) -> None:
    held = [s for s in SHAPES if any(n in text.lower() for n in s.needs)]
    matches = [m for s in held for m in s.pattern.finditer(text)]
    everywhere = {m.span(g) for m in matches for g in m.re.groupindex if g.startswith("s") and m.start(g) >= 0}
    assert set(find_secret_spans(text)) == everywhere


@pytest.mark.parametrize("before", [1, 10, 19])
def test_a_secret_across_the_border_of_what_is_read_at_once_is_hidden(tmp_path: Path, before: int) -> None:
    path = tmp_path / "log"
    path.write_text("x" * (redact.WINDOW_BYTES - before - 9) + f"\nghp_{S}{S} and more\n")
    redact.redact_file(path)
    assert S[:9] not in path.read_text() and S[-9:] not in path.read_text()
