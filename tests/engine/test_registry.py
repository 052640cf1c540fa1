"""Models by name, and downloads from a stand-in for the hub: whole or not at all, resumed, refused when changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import filelock
import huggingface_hub.constants
import pytest
from fixtures.hub_server import MODEL, Hub

import napari_nninteractive as nni
from napari_nninteractive.engine import hub as hub_module
from napari_nninteractive.engine import registry

pytest_plugins = ["fixtures.hub"]

COMMAND = f"napari-nninteractive models download {MODEL}"
WEIGHTS = f"{MODEL}/fold_0/checkpoint_final.pth"


def fetch(**options: Any) -> Path:
    return registry.download(MODEL, **{"accept_licence": True, **options})


def same_content(a: Path, b: Path) -> bool:
    names = {p.relative_to(a) for p in a.rglob("*") if p.is_file()}
    others = {p.relative_to(b) for p in b.rglob("*") if p.is_file()}
    return names == others and all((a / n).read_bytes() == (b / n).read_bytes() for n in names)


class TestNames:
    """What a name stands for."""

    def test_registered(self) -> None:
        ids = [m.id for m in registry.registered()]
        assert ids == ["builtin", MODEL]
        assert registry.find(MODEL).licence == "CC BY-NC-SA 4.0"

    @pytest.mark.parametrize("as_type", [str, Path])
    def test_any_folder(self, as_type: type, tmp_path: Path) -> None:
        assert registry.resolve(as_type(tmp_path)) == tmp_path

    def test_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        (tmp_path / "model").mkdir()
        assert registry.resolve("~/model") == tmp_path / "model"

    def test_not_downloaded(self, cache_root: Path) -> None:
        with pytest.raises(nni.ModelError, match=COMMAND):
            registry.resolve(MODEL)
        with pytest.raises(nni.ModelError, match=COMMAND):
            nni.load_model(MODEL)

    @pytest.mark.parametrize(
        "name", ["nninteractive", "no/such/folder", Path(MODEL), Path("builtin")]
    )
    def test_unknown(self, name: str | Path, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(nni.ModelError, match=rf"no model folder.*builtin, {MODEL}"):
            nni.load_model(name)

    @pytest.mark.parametrize(
        "call", [registry.find, registry.is_downloaded, registry.licence_text, registry.licence_of]
    )
    def test_unknown_id(self, call: Any) -> None:
        with pytest.raises(nni.ModelError, match=rf"'v2': known are builtin, {MODEL}"):
            call("v2")

    def test_builtin_without_weights(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(registry, "_BUILTIN_FOLDER", tmp_path / "builtin")
        assert not registry.is_downloaded("builtin")
        assert registry.licence_of("builtin") is None
        for call in (registry.resolve, registry.licence_text, nni.load_model):
            with pytest.raises(nni.ModelError, match="without the weights of the built-in model"):
                call("builtin")

    def test_builtin_with_weights(
        self,
        published: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(registry, "_BUILTIN_FOLDER", published)
        assert nni.load_model("builtin", "cpu").id == "builtin"
        assert registry.licence_of("builtin") == "BSD-3-Clause"
        assert "Random weights" in registry.licence_text("builtin")
        assert registry.download("builtin", accept_licence=False) == published

    def test_names_load_nothing_heavy(self) -> None:
        code = (
            "import json, sys; from napari_nninteractive.engine import registry; registry.registered();"
            f"registry.is_downloaded({MODEL!r}); print(json.dumps(sorted(sys.modules)))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        loaded = set(json.loads(run.stdout))
        assert not loaded & {"torch", "huggingface_hub", "nnunetv2", "napari"}


class TestCacheFolder:
    """Where downloads go."""

    def test_variable(self, cache_root: Path) -> None:
        assert registry.cache_folder() == cache_root / "models"
        assert registry.folder_of(MODEL) == cache_root / "models" / MODEL

    def test_relative_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(registry.CACHE_VARIABLE, "here")
        assert registry.cache_folder() == tmp_path / "here" / "models"

    def test_a_folder_that_was_told(
        self, tmp_path: Path, cache_root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = dict(os.environ)
        registry.use_cache_folder(tmp_path / "told")
        try:
            assert registry.cache_folder() == cache_root / "models", "the variable goes first"
            monkeypatch.delenv(registry.CACHE_VARIABLE)
            assert registry.cache_folder() == tmp_path / "told" / "models"
            assert os.environ == {k: v for k, v in before.items() if k != registry.CACHE_VARIABLE}
        finally:
            registry.use_cache_folder("")
        assert registry.cache_folder() != tmp_path / "told" / "models"

    @pytest.mark.parametrize("value", [None, ""])
    def test_default(self, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        if value is None:
            monkeypatch.delenv(registry.CACHE_VARIABLE, raising=False)
        else:
            monkeypatch.setenv(registry.CACHE_VARIABLE, value)
        folder = registry.cache_folder()
        assert folder.is_absolute()
        assert "napari-nninteractive" in folder.parts


class TestLicence:
    """Accepted first, shown before."""

    def test_not_accepted(self, hub: Hub, cache_root: Path) -> None:
        with pytest.raises(
            nni.ModelError, match=r"CC BY-NC-SA 4\.0.*accept it with accept_licence=True"
        ):
            fetch(accept_licence=False)
        assert hub.requests == []
        assert not cache_root.exists()

    def test_text_fetches_nothing_else(self, hub: Hub, cache_root: Path) -> None:
        assert registry.licence_text(MODEL).startswith("BSD-3-Clause\n")
        assert [r.path.rpartition("/")[2] for r in hub.requests] == ["nnInteractive", "LICENSE"]
        assert not cache_root.exists()

    def test_endpoint(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
        assert "Random" in registry.licence_text(MODEL, endpoint=f"{hub.endpoint}/")

    def test_of_the_whole_repository(self, hub: Hub) -> None:
        hub.files["LICENSE"] = b"of all\n"
        del hub.files[f"{MODEL}/LICENSE"]
        assert registry.licence_text(MODEL) == "of all\n"

    def test_stays_with_the_weights_where_the_hub_has_none(self, hub: Hub) -> None:
        del hub.files[f"{MODEL}/LICENSE"]
        assert "creativecommons.org" in registry.licence_text(MODEL)
        fetch()
        assert nni.load_model(MODEL, "cpu").licence == "CC BY-NC-SA 4.0"

    def test_downloaded_needs_no_network(self, hub: Hub) -> None:
        fetch()
        hub.requests.clear()
        assert "Random weights" in registry.licence_text(MODEL)
        assert hub.requests == []

    def test_too_long(self, hub: Hub) -> None:
        hub.files[f"{MODEL}/LICENSE"] = b"x" * 1_000_001
        with pytest.raises(nni.ModelError, match="too long"):
            registry.licence_text(MODEL)


class TestDownload:
    """A download that goes well."""

    def test_whole(self, hub: Hub, published: Path, cache_root: Path) -> None:
        steps: list[tuple[int, int]] = []
        folder = fetch(progress=lambda done, total: steps.append((done, total)))
        assert folder == cache_root / "models" / MODEL == registry.resolve(MODEL)
        assert same_content(folder, published)
        total = sum(p.stat().st_size for p in published.rglob("*") if p.is_file())
        assert steps == sorted(steps)
        assert steps[-1] == (total, total)
        assert {t for _, t in steps} == {total}
        model = nni.load_model(MODEL, "cpu")
        assert (model.id, model.folder) == (MODEL, folder)
        assert model.sha256 == nni.load_model(published, "cpu").sha256
        assert {p.name for p in folder.parent.iterdir()} <= {MODEL, f"{MODEL}.lock"}

    def test_second_does_nothing(self, hub: Hub) -> None:
        folder = fetch()
        hub.requests.clear()
        assert fetch(accept_licence=False) == folder
        assert hub.requests == []

    def test_force(self, hub: Hub, published: Path) -> None:
        damaged = fetch() / "plans.json"
        damaged.write_text("{}")
        assert same_content(fetch(force=True), published)

    def test_damaged_on_disk_is_not_there(self, hub: Hub, published: Path) -> None:
        shutil.rmtree(fetch() / "fold_0")
        assert not registry.is_downloaded(MODEL)
        assert same_content(fetch(), published)

    def test_takes_what_belongs_to_a_model(self, hub: Hub) -> None:
        hub.files[f"{MODEL}/../../escaped.json"] = b"{}"
        hub.files[f"{MODEL}/sub/more.json"] = b"{}"
        hub.files[f"{MODEL}\\odd.json"] = b"{}"
        names = {p.name for p in fetch().rglob("*")}
        assert names == {
            *("LICENSE", "dataset.json", "plans.json", "inference_info.json"),
            *("fold_0", "checkpoint_final.pth"),
        }
        assert not hub.asked(".py")

    def test_says_nothing_about_the_machine(
        self,
        hub: Hub,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        before = dict(os.environ)
        registry.licence_text(MODEL)
        fetch()
        assert dict(os.environ) == before
        for request in hub.requests:
            assert request.headers["user-agent"] == f"napari-nninteractive/{nni.__version__}"
            assert "authorization" not in request.headers
            assert "cookie" not in request.headers
            assert request.path.startswith(("/api/models/MIC", "/MIC-DKFZ/", "/stored/"))


class TestInterrupted:
    """Breaks, cancels, and going on."""

    def test_goes_on(self, hub: Hub, published: Path) -> None:
        hub.break_after = 30_000
        with pytest.raises(
            nni.ModelError, match=r"HTTP 503.*try again: what has come so far is kept"
        ):
            fetch()
        assert not registry.is_downloaded(MODEL)
        with pytest.raises(nni.ModelError, match=COMMAND):
            nni.load_model(MODEL)
        hub.mend()
        hub.requests.clear()
        steps: list[int] = []
        assert same_content(fetch(progress=lambda done, _: steps.append(done)), published)
        assert [r.range for r in hub.asked(".pth")] == [
            "bytes=30000-"
        ] * 2  # and where it is stored
        assert not hub.asked(".json")
        assert all(step > 0 for step in steps)
        assert nni.load_model(MODEL, "cpu").id == MODEL

    def test_a_short_break_is_bridged(
        self,
        hub: Hub,
        published: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        hub.break_after = 30_000
        append = hub_module._append

        def mend_after_one(*args: Any) -> None:
            try:
                append(*args)
            finally:
                if hub.broken:
                    hub.mend()

        monkeypatch.setattr(hub_module, "_append", mend_after_one)
        assert same_content(fetch(), published)
        assert [r.range for r in hub.asked(".pth")][::2] == [None, "bytes=30000-"]

    def test_server_that_cannot_go_on(self, hub: Hub, published: Path) -> None:
        hub.break_after = 30_000
        with pytest.raises(nni.ModelError):
            fetch()
        hub.mend()
        hub.ignores_range = True
        assert same_content(fetch(), published)

    def test_newer_version_in_between(self, hub: Hub) -> None:
        hub.break_after = 30_000
        with pytest.raises(nni.ModelError):
            fetch()
        hub.mend()
        hub.files[WEIGHTS] = b"new" * 20_000
        hub.files[f"{MODEL}/extra.json"] = hub.files.pop(f"{MODEL}/dataset.json")
        hub.files[f"{MODEL}/dataset.json"] = b"{}"
        folder = fetch()
        assert (folder / "fold_0" / "checkpoint_final.pth").read_bytes() == hub.files[WEIGHTS]
        assert (folder / "dataset.json").read_bytes() == b"{}"
        assert not list(folder.rglob("*.partial"))
        assert hub.asked(".pth")[-1].range is None

    def test_cancel(self, hub: Hub, published: Path, cache_root: Path) -> None:
        token = nni.CancelToken()
        with pytest.raises(nni.Cancelled, match="goes on from here"):
            fetch(progress=lambda done, total: done > total / 2 and token.cancel(), cancel=token)
        assert not registry.is_downloaded(MODEL)
        kept = next((cache_root / "models").rglob("*.partial/fold_0/*.partial"))
        assert 0 < kept.stat().st_size < len(hub.files[WEIGHTS])
        hub.requests.clear()
        assert same_content(fetch(cancel=threading.Event()), published)
        assert hub.asked(".pth")[-1].range is not None

    def test_cancelled_before(self, hub: Hub, cache_root: Path) -> None:
        token = nni.CancelToken()
        token.cancel()
        with pytest.raises(nni.Cancelled):
            fetch(cancel=token)
        assert hub.requests == []

    def test_two_at_once(self, hub: Hub, cache_root: Path) -> None:
        (cache_root / "models").mkdir(parents=True)
        with (
            filelock.FileLock(cache_root / "models" / f"{MODEL}.lock"),
            pytest.raises(nni.ModelError, match="Another program is downloading"),
        ):
            fetch()
        assert hub.requests == []


class TestRefused:
    """What must not become a model."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda w: w[:-1] + bytes([w[-1] ^ 1]), id="changed"),
            pytest.param(lambda w: w[:-100], id="truncated"),
            pytest.param(lambda w: w + b"more", id="longer"),
            pytest.param(lambda w: b"", id="empty"),
        ],
    )
    def test_other_content_than_listed(
        self,
        change: Any,
        hub: Hub,
        published: Path,
        cache_root: Path,
    ) -> None:
        hub.replaced[WEIGHTS] = change(hub.files[WEIGHTS])
        with pytest.raises(nni.ModelError, match="checksum differ"):
            fetch()
        assert not registry.is_downloaded(MODEL)
        assert not list((cache_root / "models").rglob("fold_0/*"))
        hub.replaced.clear()
        assert same_content(fetch(), published)

    @pytest.mark.parametrize(
        ("gone", "message"),
        [
            ("inference_info.json", "neither inference_info.json nor"),
            ("plans.json", "plans.json is missing"),
            ("fold_0/checkpoint_final.pth", "there is no fold_"),
        ],
    )
    def test_no_model(self, gone: str, message: str, hub: Hub, cache_root: Path) -> None:
        del hub.files[f"{MODEL}/{gone}"]
        with pytest.raises(nni.ModelError, match=f"no model that can be used.*{message}"):
            fetch()
        assert not list((cache_root / "models").rglob("*.json"))

    @pytest.mark.parametrize(
        "listing",
        [
            b"<html>please sign in</html>",
            b"[]",
            b"{}",
            b'{"sha": "a", "siblings": [{}]}',
            b'{"sha": "a", "siblings": [{"rfilename": "a", "size": -1, "blobId": "aa"}]}',
            b'{"sha": "a", "siblings": [{"rfilename": 1}]}',
        ],
    )
    def test_listing_that_makes_no_sense(self, listing: bytes, hub: Hub) -> None:
        hub.listing = listing
        with pytest.raises(nni.ModelError, match="makes no sense"):
            fetch()


class TestNoWay:
    """Network and disk that fail: what to do is said."""

    def test_server_down(self, cache_root: Path, only_this_machine: None) -> None:
        for call in (registry.licence_text, lambda *a, **k: fetch(**k)):
            with pytest.raises(nni.ModelError, match="cannot be reached") as caught:
                call(MODEL, endpoint="http://127.0.0.1:1")
            assert "another machine" in str(caught.value)
            assert "https://huggingface.co/MIC-DKFZ/nnInteractive" in str(caught.value)
            assert caught.value.__cause__ is not None

    def test_set_offline(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(nni.ModelError, match="HF_HUB_OFFLINE"):
            fetch()
        assert hub.requests == []

    def test_repository_gone(self, hub: Hub) -> None:
        hub.repository = "somebody/else"
        with pytest.raises(nni.ModelError, match="HTTP 404"):
            fetch()

    def test_little_room(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(".")._replace(free=1_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(nni.ModelError, match=f"has 1 MB left.*{registry.CACHE_VARIABLE}"):
            fetch()
        assert not hub.asked(".json")

    def test_disk_full(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_args: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(hub_module, "_append", fail)
        with pytest.raises(nni.ModelError, match=f"disk is full.*{registry.CACHE_VARIABLE}"):
            fetch()

    def test_cache_is_a_file(self, hub: Hub, cache_root: Path) -> None:
        cache_root.write_text("")
        with pytest.raises(nni.ModelError, match=f"{registry.CACHE_VARIABLE} to a folder"):
            fetch()


def test_git_blob_checksum() -> None:
    # git's own: `printf 'hello\n' | git hash-object --stdin`
    digest = hub_module._git_blob(6)
    digest.update(b"hello\n")
    assert digest.hexdigest() == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert hashlib.sha1(b"blob 6\0hello\n").hexdigest() == digest.hexdigest()
