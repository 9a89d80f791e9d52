"""Finds texts that are secret by their shape: tokens with a prefix, headers, assignments, flags, URLs.

Each rule names what stands in a text that it can meet (`needs`, lower case: a cheap look before the expression) and
hides its groups `s...` only, so that the rest stays readable and a ServerArgs(...) stays one. Own rules, because no
maintained set fits (docs/decisions/0026): they report lines, take every digest for a secret, and know no NGC key.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

ANSI: Final = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")

# Names of variables, in capitals as environments have them; `_2` at the end is the second of its kind.
_CAPITALS = (
    r"(?:(?<![A-Za-z])(?:PASSWD|PASSPHRASE|PASS|PAT|COOKIE|WEBHOOK(?:_URL)?|AUTH)"
    r"|(?<=[A-Z0-9]_)PWD|(?<![a-z])(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?))(?:_?\d{1,3})?"
)
CAPITALS: Final = rf"[A-Z0-9_]*{_CAPITALS}"
# In small letters `token` and `key` alone are everybody's words (eos_token, cache_key), so these are named in full.
_SMALL = (
    r"(?:api[_-]?key|(?:access|secret|private|signing|encryption|account|subscription|shared|master)[_-]?key|(?:client|app|consumer|shared|webhook|oauth)?[_-]?secret|passw(?:or)?d|passphrase"
    r"|(?:access|auth|refresh|bearer|session|security|hf|hub|gh|github|gitlab|slack|bot|deploy|ngc|wandb|csrf|id|api|vault"
    r"|private|job|service|user|account)"
    r"[_-]?token|(?:db|ssh|ftp|smtp|redis|mysql|pg|user)[_-](?:pass|pwd)|(?:gh|github|gitlab|azure)[_-]pat"
    r"|credentials?|x-(?:amz|goog)-(?:signature|credential)|webhook(?:[_-]url)?)(?:[_-]?\d{1,3})?"
)
SMALL: Final = rf"[a-z0-9_-]*(?<![a-z0-9]){_SMALL}"
FLAG: Final = (
    r"--(?:[a-z0-9]+[_-]){0,6}(?:api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|token|password|passwd|secret"
    r"|credentials?|auth)"
)
# How a name and its value stand together: `=`, `:`, an arrow, a cell of a table, a tag, an annotation.
_JOIN = r"(?:\s?[:=]=?>?\s?|:\s{0,3}\n\s{0,20}-\s|\s?->\s?|\s?\|\s{0,40}|>|:\s?[A-Z][\w\[\], .|]{0,60}=\s?)"
_BESIDE = r"(?:\s(?:[=-]>\s)?|>|\s?\|\s{0,40})"
_LONG = r"(?=[\w+/=-]{0,80}\d)(?=[\w+/=-]{0,80}[A-Za-z])[A-Za-z0-9+/=-]{16,}"
_NOTHING = r"(?!(?:None|null|none|true|false|True|False|\*+|\$\{?\w{1,60}\}?|\"\"|'')(?![\w.-]))"
_SHELL = r"(?P<s1>'[^'\n]*'|\"[^\"\n]*\"|[^\s'\"]+)"


@dataclass(frozen=True, slots=True)
class SecretShape:
    """One rule. `needs`: the text contains one of these, in lower case.

    `in_name`: what it meets begins inside of a name (letters, digits, `_`, `-`) that contains one of them, so that only
    such names are looked at: the expressions of small letters take a second for a long reply that says `usage.tokens`.
    """

    name: str
    needs: tuple[str, ...]
    expression: str
    in_name: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """Return the expression, compiled when a text first holds what it needs: all of them cost a call 15 ms."""
        return _compile(self.expression)


@cache
def _compile(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _make_shape(name: str, needs: str, pattern: str, *, in_name: bool = False) -> SecretShape:
    return SecretShape(name, tuple(needs.split()), pattern, in_name)


_TOKENS = (
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}(?:\.\w+){0,3}|nvapi-[\w-]{16,}"
    r"|(?:hf_(?:(?:oauth|app|jwt|org)_)?|api_org_)[A-Za-z0-9]{20,}|\w[\w.~-]{2}\dQ~[\w.~-]{30,}"
    r"|sk-[A-Za-z0-9_-]{16,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}"
    r"|AIza[\w-]{30,}|ya29\.[\w-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|dckr_pat_[\w-]{16,}|dapi[0-9a-f]{32}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|gsk_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|xai-[\w-]{20,}|hvs\.[\w-]{20,}"
    r"|dop_v1_[0-9a-f]{32,}|shpat_[0-9a-fA-F]{32}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|ATATT[\w=-]{20,}|lin_api_\w{20,}"
    r"|fw_(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{20,}|tgp_v1_[\w-]{20,}|pplx-[A-Za-z0-9]{30,}|cf[au]t_[\w-]{30,}|rpa_[A-Za-z0-9]{30,}"
    r"|glsa_\w{30,}|glc_[\w+/=]{30,}|gl(?:rt|dt|cbt|ft|soat|agent|imt|ptt|oas|ffct|wt)-[\w.-]{20,}|whsec_[\w+/=]{20,}"
    r"|pul-[0-9a-f]{40}|tskey-[a-z]{2,20}-[\w-]{16,}|sntry[su]_[\w+/=]{20,}|NRAK-[A-Z0-9]{20,}|wandb_v1_\w{20,}"
    r"|csk-[A-Za-z0-9]{30,}|secret_[a-z]{3,20}_[A-Za-z0-9]{24,}|hvb\.[\w-]{20,}"
    r"|bnZhcGkt[\w+/=-]{16,}|JG9hdXRodG9rZW46[\w+/=-]{8,}"  # base64 of an NGC key, and of docker's login with one
)
_LEADS = (
    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- nvapi- hf_ api_org_ q~ sk- _live_ _test_ xox xapp- aiza ya29."
    " npm_ pypi- dckr_pat_ dapi sg. gsk_ r8_ xai- hvs. dop_v1_ shpat_ age-secret-key atatt lin_api_ fw_ tgp_ pplx-"
    " cfut_ cfat_ rpa_ glsa_ glc_ glrt- gldt- glcbt- glft- glsoat- glagent- glimt- glptt- gloas- glffct- glwt-"
    " whsec_ pul- tskey- sntry nrak- wandb_v1_ csk- secret_ hvb. bnzhcgkt jg9hdxrodg9rzw46"
)
# A terminal or a log may end the line inside of a token: what goes on has letters of both cases and a digit.
_MIXED = r"(?=[A-Za-z0-9_-]{0,80}[a-z])(?=[A-Za-z0-9_-]{0,80}[A-Z])(?=[A-Za-z0-9_-]{0,80}\d)[A-Za-z0-9_-]{8,}"
# Behind a header's value only: a line of its own that nothing else could be.
_GOES_ON = rf"(?-i:(?:\\?\r?\n[ \t]{{0,40}}{_MIXED}(?=[\s\"',}}\]]|\Z)){{0,4}})"
_BROKEN_LEADS = "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- nvapi- hf_ sk- npm_ gsk_ dckr_pat_"
_BROKEN = (
    r"(?:gh[pousr]_|github_pat_|glpat-|nvapi-|hf_|sk-(?:proj-|ant-|or-)?|npm_|gsk_|dckr_pat_)"
    rf"(?=[\w-]{{0,60}}[A-Z0-9])[\w-]{{6,}}(?:\\?\r?\n[ \t]{{0,40}}{_MIXED}){{1,4}}"
)
# Names begin behind other characters than letters, or with a capital: sharedAccessKey, hfToken.
_BEGINS = r"(?:(?<![A-Za-z0-9])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
_NAMED = "key token secret pass pat credential cookie hook auth signature pwd"
SHAPES: Final = (
    _make_shape(
        "private key",
        "private",
        r"(?s)-----BEGIN (?P<s1>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.{0,60000}?(?:-----END|\Z))",
    ),
    _make_shape(
        "PuTTY's key", "private-lines", r"Private-Lines:\s\d{1,4}\s+(?P<s1>(?:[A-Za-z0-9+/=]{4,}\s{0,4}){1,200})"
    ),
    _make_shape("token with a prefix", _LEADS, rf"(?<![A-Za-z0-9])(?P<s1>{_TOKENS})"),
    _make_shape("broken token", _BROKEN_LEADS, rf"(?<![A-Za-z0-9])(?P<s1>{_BROKEN})"),
    _make_shape("docker's login", '"auth"', r"\"auth\"\s?:\s?\"(?P<s1>[A-Za-z0-9+/=]{12,})\""),
    _make_shape(
        "password of a login",
        "sshpass login",
        r"(?:\bsshpass\s+-p\s?|\blogin\b[^\n]{0,120}?\s-p[ =]?)(?P<s1>[^\s-]\S*)"
        r"|\bwandb\s+login\s(?:[^\n]{0,60}\s)?(?P<s2>[0-9a-f]{40})\b",
    ),
    _make_shape(
        "AWS key",
        "akia asia abia acca",
        r"(?<![A-Za-z0-9])(?P<s1>(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?![A-Za-z0-9])"
        r"(?:\W{1,6}(?:\w{0,30}\W{1,6})?(?P<s2>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+]))?",
    ),
    _make_shape("JWT", "eyj", r"(?<![A-Za-z0-9])(?P<s1>eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3})"),
    _make_shape(
        "Authorization",
        "authorization",
        r"(?i)\b(?:proxy-)?authorization[\"']?\s*[:=,]\s*(?:b(?=[\"']))?[\"']?"
        rf"(?:(?:bearer|basic|token|digest|apikey)\s+)?(?P<s1>[^\s\"',}}\]]+{_GOES_ON})",
    ),
    _make_shape(
        "curl's user", "-u --user", r"(?<![\w-])(?:-u|--user)[= ]\s*[\"']?[^\s:\"']{1,80}:(?!\d+\b)(?P<s1>[^\s\"']+)"
    ),
    _make_shape("netrc", "password", r"\blogin\s+\S{1,80}\s+password\s+(?P<s1>\S+)"),
    _make_shape(
        "long token",
        "token",
        r"(?i)(?<![A-Za-z0-9_])token[\"']?\s?[:=]\s?[\"']?(?=[\w.-]{0,80}\d)(?=[\w.-]{0,80}[A-Za-z])(?P<s1>[\w.-]{20,})",
        in_name=True,
    ),
    _make_shape("bearer", "bearer", rf"(?i)\bbearer\s+(?P<s1>[A-Za-z0-9._~+/=-]{{8,}}{_GOES_ON})"),
    _make_shape("basic", "basic", r"(?i)\bbasic\s+(?P<s1>(?=[A-Za-z0-9+/]*[0-9+/=])[A-Za-z0-9+/]{8,}={0,2})(?![\w+/])"),
    _make_shape("cookie", "cookie", r"(?i)\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?(?P<s1>[^\s\"'][^\r\n\"']*)"),
    _make_shape("URL password", "://", r"(?i)\b[a-z][a-z0-9+.-]{0,30}://(?P<s1>[^/\s\"'<>]{1,400})@"),
    _make_shape(
        "URL query",
        "=",
        r"(?i)[?&;](?:[\w-]{0,60}[_-])?(?:token|api_?key|key|secret|signature|sig|password|passwd|auth|credential)="
        rf"{_NOTHING}(?P<s1>[^\s&#\"'<>\\]+)",
    ),
    _make_shape(
        "webhook",
        "hook bot",
        r"(?i)https?://(?:hooks\.slack\.com/(?:services|workflows)|(?:\w+\.)?discord(?:app)?\.com/api/webhooks"
        r"|[\w.-]*webhook\.office\.com|outlook\.office\.com/webhook|hooks\.zapier\.com/hooks|[\w.-]+/hooks|[\w.-]+/webhooks?"
        r"|api\.telegram\.org/(?=bot))/?(?P<s1>[^\s\"'<>?]{6,})",
    ),
    _make_shape("flag", "--", rf"(?<![\w-]){FLAG}(?:=|\s+){_NOTHING}(?!-){_SHELL}"),
    _make_shape("flag in a list", "--", rf"(?<![\w-]){FLAG}[\"']\s*,\s*b?[\"'](?P<s1>[^\"'\n]+)[\"']"),
    _make_shape("variable", _NAMED, rf"{_CAPITALS}={_NOTHING}{_SHELL}", in_name=True),
    _make_shape(
        "variable in a mapping",
        _NAMED,
        rf"{_CAPITALS}(?P<q>[\"'])\s*\]?\s*(?:[:=,]|[=-]>)\s*[\[(]?\s*b?(?P<p>[\"'])(?P<s1>(?:(?!(?P=p))[^\n\\]|\\.)+)(?P=p)",
        in_name=True,
    ),
    _make_shape(
        "name with a quoted value",
        _NAMED,
        rf"(?i){_BEGINS}{_SMALL}(?:\\{{0,7}}[\"'])?\s*\]?{_JOIN}\s*[\[(]?\s*[bf]?(?P<p>\\{{0,7}}[\"'])(?!\*+[\"'\\])(?P<s1>(?:(?!(?P=p))[^\n])+)(?P=p)",
        in_name=True,
    ),
    _make_shape(
        "name with a value",
        _NAMED,
        rf"(?i){_BEGINS}{_SMALL}[\"']?{_JOIN}{_NOTHING}(?P<s1>[^\s'\",;)}}\]\[({{&\\<>|]{{3,}})",
        in_name=True,
    ),
    _make_shape(
        "variable and value",
        _NAMED,
        rf"\b[A-Z0-9][A-Z0-9_]*_{_CAPITALS}{_BESIDE}{_NOTHING}(?P<s1>{_LONG})",
        in_name=True,
    ),
    _make_shape("words about a password", "passw", rf"(?i)\bpassw(?:or)?d\s(?:is\s)?[\"']?(?P<s1>{_LONG})"),
    _make_shape(
        "name and value",
        _NAMED,
        rf"(?i){_BEGINS}{_SMALL}\s(?:is\s|was\s)?[\"']?(?P<s1>(?-i:{_MIXED.replace('{8,}', '{16,}')}))",
        in_name=True,
    ),
    _make_shape("pwd", "pwd", rf"(?i)(?<![A-Za-z0-9_])pwd\s?=\s?{_NOTHING}(?P<s1>(?![/~.])[^\s'\",;&<>]{{3,}})"),
    _make_shape("SecretStr", "secret", r"Secret[A-Z]\w{0,20}\(\s*b?(?P<p>[\"'])(?P<s1>(?:(?!(?P=p))[^\n])+)(?P=p)"),
)


_NEEDS: Final = tuple({n: None for shape in SHAPES for n in shape.needs})  # each once: a third of what the shapes name

# What stands inside of texts and hides what they say: colours, and delimiters escaped for URLs, HTML, JSON and Python.
_DISGUISES: Final = {
    r"\x1b\[[0-9;?]{0,20}[A-Za-z]": "",
    r"%(?:25)?20": " ",
    r"%(?:25)?22|&quot;|&#34;|&#x22;|\\{1,2}(?:u00|x)22": '"',
    r"%(?:25)?27|&apos;|&#39;|&#x27;|\\{1,2}(?:u00|x)27": "'",
    r"%(?:25)?26|&amp;|\\{1,2}(?:u00|x)26": "&",
    r"%(?:25)?2[fF]|\\/": "/",
    r"%(?:25)?3[aA]": ":",
    r"%(?:25)?3[dD]|&#61;|&#x3d;|\\{1,2}(?:u00|x)3[dD]": "=",
    r"%(?:25)?40": "@",
    r"&lt;": "<",
    r"&gt;": ">",
}
_DISGUISED: Final = re.compile("|".join(f"(?P<d{i}>{form})" for i, form in enumerate(_DISGUISES)))
_MARK: Final = re.compile(r"[\x1b%&\\]")  # with which each form begins: a search for the forms is ten times as slow
_NAME: Final = re.compile(r"[\w-]+")
_UNLIKE: Final = "\u0131\u017f"  # (?i) takes them for i and s, str.lower() does not


def find_secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each secret, by shape, as the text stands and as it reads unescaped; the spans may overlap."""
    yield from _find_spans(text)
    if forms := list(_iterate_disguises(text)):
        plain, place = _unescape(text, forms)
        for start, end in _find_spans(plain):
            if start < end:
                yield place(start), place(end)


def _iterate_disguises(text: str) -> Iterator[re.Match[str]]:
    at = 0
    for mark in _MARK.finditer(text):
        if mark.start() >= at and (form := _DISGUISED.match(text, mark.start())):
            at = form.end()
            yield form


def _unescape(text: str, forms: Sequence[re.Match[str]]) -> tuple[str, Callable[[int], int]]:
    """Return the text without colours and escapes, and a function: where in `text` each of its characters and its end
    stand."""
    letters = list(_DISGUISES.values())
    pieces, at, length = list[str](), 0, 0
    begins, stands = list[int](), list[int]()  # of each piece, in the plain text and in `text`
    for form in forms:
        for piece, place in ((text[at : form.start()], at), (letters[int((form.lastgroup or "d0")[1:])], form.start())):
            if piece:
                pieces.append(piece)
                begins.append(length)
                stands.append(place)
                length += len(piece)
        at = form.end()
    begins.append(length)
    stands.append(at)

    def find_place(index: int) -> int:
        found = bisect_right(begins, index) - 1
        return stands[found] + index - begins[found]

    return "".join([*pieces, text[at:]]), find_place


def _find_spans(text: str) -> Iterator[tuple[int, int]]:
    small = text.lower()
    held = {n for n in _NEEDS if n in small}
    if not held:
        return
    names = _find_names(text, small, held.intersection(_NAMED.split()))
    for shape in SHAPES:
        if held.isdisjoint(shape.needs):
            continue
        pattern = shape.pattern
        hidden = [name for name in pattern.groupindex if name.startswith("s")]
        found = pattern.finditer(text) if names is None or not shape.in_name else _match_in(pattern, text, names)
        for match in found:
            yield from (match.span(name) for name in hidden if match.start(name) >= 0)


def _find_names(text: str, small: str, words: Iterable[str]) -> list[tuple[int, int]] | None:
    """List the places of the names that contain one of the words, in order; None where `small` says not where."""
    if len(small) != len(text) or any(letter in text for letter in _UNLIKE):
        return None
    names = set[tuple[int, int]]()
    for word in words:
        at = small.find(word)
        while at >= 0:
            start = _find_start(text, at)
            name = _NAME.match(text, at)
            end = name.end() if name else at + 1
            names.add((start, end))
            at = small.find(word, end)
    return sorted(names)


def _find_start(text: str, at: int) -> int:
    """Return where the name around a place begins."""
    while at and (text[at - 1] in "-_" or text[at - 1].isalnum()):
        at -= 1
    return at


def _match_in(pattern: re.Pattern[str], text: str, names: Iterable[tuple[int, int]]) -> Iterator[re.Match[str]]:
    """Yield what `pattern.finditer(text)` does, where each match begins inside of one of the names."""
    at = 0
    for start, end in names:
        at = max(at, start)
        while at < end:
            match = pattern.match(text, at)
            at = match.end() if match else at + 1
            if match:
                yield match


def merge_spans(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping and touching spans, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return merged
