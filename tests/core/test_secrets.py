"""core/secrets.py: what is secret in a text stays here, and comes back in the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.secrets import Unmasker, Vault

# (a line, what is secret of it); the keys are made up, in the forms that the services document.
FOUND = [
    ('aws = "AKIAIOSFODNN7EXAMPLE"', "AKIAIOSFODNN7EXAMPLE"),
    ("token: ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
    ('openai.api_key = "sk-proj-0aB1cD2eF3gH4iJ5kL6mN7"', "sk-proj-0aB1cD2eF3gH4iJ5kL6mN7"),
    ("x = 'glpat-abcDEF123ghiJKL456mn'", "glpat-abcDEF123ghiJKL456mn"),
    ('slack("xoxb-123456789012-abcdefABCDEF")', "xoxb-123456789012-abcdefABCDEF"),
    ('k = "AIzaSyA1234567890abcdefghijklmnopqrstuv"', "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    ('stripe.api_key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"', "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
    ('id = "LTAI5tAbCdEfGhIjKlMnOpQr"', "LTAI5tAbCdEfGhIjKlMnOpQr"),
    ('jwt = "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4f"', "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4f"),
    ('db = "postgres://app:hunter2@db.example.com/x"', "hunter2"),
    ('headers = {"Authorization": "Bearer abcDEF123456ghiJKL"}', "abcDEF123456ghiJKL"),
    ('password = "hunter2-and-more"', "hunter2-and-more"),
    ("DB_PASSWORD = 'correcthorse'", "correcthorse"),
    ('    "client_secret": "q8Zr-51kVbT2",', "q8Zr-51kVbT2"),
    ('const apiKey: string = "9f86d081884c7d659a2feaa0c55ad015"', "9f86d081884c7d659a2feaa0c55ad015"),
    ("SECRET_TOKEN=9f86d081884c7d659a2feaa0", "9f86d081884c7d659a2feaa0"),
    ('config["auth_key"] = "Zm9vYmFyMTIzNDU2Nzg5"', "Zm9vYmFyMTIzNDU2Nzg5"),
    ('api_key := "a1b2c3d4e5f6a7b8"', "a1b2c3d4e5f6a7b8"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----", "MIIEow\nabc"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEow\n", "MIIEow"),
]
HARMLESS = [
    'password = input("Password: ")',
    'password = os.environ["DB_PASSWORD"]',
    "const apiKey = process.env.API_KEY_V2_PRODUCTION",
    'token = request.headers.get("authorization", "")',
    'password = ""',
    'password = "changeme"',
    'api_key = "your-api-key-here-12345"',
    'password: "${DB_PASSWORD_2}"',
    "token = <your token 1234567890>",
    'secret = "{{ vault_secret_1 }}"',
    'raise ValueError("the password must have 8 characters")',
    'message = "token: must not be empty or none"',
    "max_tokens = 1234567890123",
    'token_type = "bearer_token_v2"',
    "tokens = self.tokenizer.encode_plus2(text)",
    'TOKEN_URL = "/oauth2/v2/token"',
    "secret_key = get_random_secret_key()",
    'url = "https://example.com:8080/path@x"',
    "sk-learn and sk-image",
    "password_field = password_input_2",
    'key = "user.profile.settings.v12"',
    "sha256 = hashlib.sha256(data).hexdigest()",
]


@pytest.mark.parametrize(("text", "secret"), FOUND)
def test_a_secret_is_replaced_and_comes_back(text: str, secret: str) -> None:
    """Only the secret itself: the code around it stays, so that the model sees what stands there."""
    vault = Vault()
    masked = vault.mask(text)
    assert secret not in masked
    head, _, tail = text.partition(secret)
    assert masked.startswith(head)
    assert masked.endswith(tail)
    assert vault.unmask(masked) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    """Expressions, names, placeholders and messages about secrets are code like any other."""
    assert Vault().mask(text) == text


def test_the_same_secret_has_the_same_stand_in_everywhere() -> None:
    """Prompts keep their common beginnings; and where it stands without its name, it is replaced too."""
    vault = Vault()
    first = vault.mask('token = "hunter2xY7pQ0"\ncheck("hunter2xY7pQ0")\n')
    assert "hunter2" not in first
    assert vault.mask('token = "hunter2xY7pQ0"\n') in first


def test_a_password_that_is_a_word_is_replaced_only_where_it_is_one() -> None:
    """Code is full of such words."""
    masked = Vault().mask('import random\npassword = "random"\nreturn random()\n')
    assert masked.startswith('import random\npassword = "REDACTED_')
    assert masked.endswith("return random()\n")


def test_two_secrets_in_one_line() -> None:
    """Each has its own stand-in, and what is found twice is replaced once."""
    vault = Vault()
    line = 'connect("db://a:hunter2@h", password="Bearer-x9", token="ghp_0123456789abcdefghijABCDEFGHIJ012345")'
    masked = vault.mask(line)
    assert masked.count("REDACTED_") == 3
    assert vault.unmask(masked) == line


def test_a_stand_in_of_someone_else_s_stays() -> None:
    """What looks like a stand-in and is none of ours is code."""
    vault = Vault()
    vault.mask('password = "hunter2-x"')
    assert vault.unmask("REDACTED_0123456789 and REDACTED_") == "REDACTED_0123456789 and REDACTED_"


@given(st.data())
def test_an_answer_in_pieces_is_unmasked_like_one_in_one_piece(data: st.DataObject) -> None:
    """However it is cut, also within a stand-in; nothing is lost at the end."""
    vault = Vault()
    stand_in = vault.mask('password = "hunter2-x"').split('"')[1]
    parts = data.draw(st.lists(st.sampled_from([stand_in, stand_in[:9], stand_in[:-1], "RED", "a\n", "x = ", "R"])))
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    unmasker = Unmasker(vault)
    assert "".join(map(unmasker.feed, pieces)) + unmasker.end() == vault.unmask(text)


@given(st.text())
def test_masking_never_fails_and_can_be_taken_back(text: str) -> None:
    """Whatever the text."""
    vault = Vault()
    assert vault.unmask(vault.mask(text)) == text
