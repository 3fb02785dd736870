# SPDX-License-Identifier: Apache-2.0
"""inspect, verify and scan, compared with the command's --json documents."""

import json
import os
import pickle
import shutil
import subprocess

import ferrule
import pytest
from conftest import CASES, ROOT

MALFORMED = ROOT / "tests/malformed"


@pytest.fixture(scope="module")
def documents():
    def of(*words):
        done = subprocess.run([os.environ["FERRULE_COMMAND"], *map(str, words), "--json"], capture_output=True, text=True)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return of


@pytest.fixture
def folder(lora, tmp_path):
    """A good adapter, one whose weights end early, and a pickle that would run something."""
    shutil.copytree(lora, tmp_path / "all" / "good")
    shutil.copytree(lora, tmp_path / "all" / "short")
    weights = tmp_path / "all" / "short" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])

    class Run:
        def __reduce__(self):
            return os.getcwd, ()

    (tmp_path / "all" / "notes.pkl").write_bytes(pickle.dumps(Run()))
    return tmp_path / "all"


def assert_is_report(report, document):
    assert report.to_dict() == document
    assert pickle.loads(pickle.dumps(report)) == report
    assert str(report) and repr(report).startswith(f"<ferrule.{type(report).__name__} ")
    assert report._repr_html_().endswith("</p>")
    with pytest.raises(AttributeError):
        report.anything = 1


def test_inspect_gives_the_document_of_the_command(folder, lora, documents):
    for path in (lora, folder, lora / "adapter_model.safetensors", lora / "adapter_config.json"):
        if path.suffix == ".json":
            with pytest.raises(ferrule.Error):
                ferrule.inspect(path)
            continue
        report = ferrule.inspect(path)
        assert_is_report(report, documents("inspect", path))
        if not isinstance(report, ferrule.FolderSummary):
            assert report.to_dict(tensors=True) == documents("inspect", path, "--tensors")


def test_a_memo_changes_nothing(folder, tmp_path):
    plain = ferrule.inspect(folder)
    for _ in range(2):
        assert ferrule.inspect(folder, memo=tmp_path / "memo") == plain
    assert (tmp_path / "memo").exists()
    shutil.copy(folder / "good" / "adapter_model.safetensors", folder / "short")
    assert not plain.good and ferrule.inspect(folder, memo=str(tmp_path / "memo")).good
    with pytest.raises(TypeError, match="^memo: expected str or os.PathLike, found int$"):
        ferrule.inspect(folder, memo=3)
    with pytest.raises(FileNotFoundError):
        ferrule.inspect(folder, memo=tmp_path / "missing" / "memo")


def test_a_bad_adapter_is_an_answer(folder):
    report = ferrule.inspect(folder / "short")
    assert isinstance(report, ferrule.AdapterSummary) and not report and not report.good
    with pytest.raises(ferrule.CorruptError) as caught:
        report.raise_for_errors()
    assert caught.value.rule == report.findings[0].rule
    both = ferrule.inspect(folder)
    assert (len(both), both.bad, bool(both)) == (2, 1, False)
    assert [one.good for one in both] == [True, False]
    with pytest.raises(ferrule.CorruptError):
        both.raise_for_errors()
    assert ferrule.inspect(folder / "good")


@pytest.mark.parametrize("words", [{}, {"values": True}])
def test_verify_gives_the_document_of_the_command(folder, lora, documents, words):
    options = ["--values"] * len(words)
    assert_is_report(ferrule.verify(folder, **words), documents("verify", folder, *options))
    paths = [lora, folder / "short", folder / "missing", lora / "adapter_model.safetensors"]
    report = ferrule.verify(paths, **words)
    assert_is_report(report, documents("verify", *paths, *options))
    assert [one.good for one in report.paths] == [True, False, False, True] and not report
    assert isinstance(report.system_error, FileNotFoundError) and report.system_error.path == str(folder / "missing")
    assert str(report.system_error) in str(report)
    with pytest.raises(FileNotFoundError):
        report.raise_for_errors()
    ferrule.verify(lora).raise_for_errors()


def test_verify_pins_the_content(lora, documents):
    pin = ferrule.content_id(lora)
    assert ferrule.verify(lora, id=pin).good
    other = pin[::-1]
    report = ferrule.verify(lora, id=other)
    assert_is_report(report, documents("verify", lora, "--id", other))
    with pytest.raises(ferrule.CorruptError) as caught:
        report.raise_for_errors()
    assert caught.value.rule == "AD-30"
    with pytest.raises(ValueError, match="^id: expected 64 hexadecimal digits"):
        ferrule.verify(lora, id="abc")


@pytest.mark.parametrize("words", [{}, {"fail_on": "any"}, {"fail_on": "dangerous"}, {"allow": ["*cwd", "*.bin"]}])
def test_scan_gives_the_document_of_the_command(folder, documents, words):
    options = [f"--{name.replace('_', '-')}={value}" for name, values in words.items()
               for value in ([values] if isinstance(values, str) else values)]
    for path in (folder, MALFORMED):
        report = ferrule.scan(path, **words)
        assert_is_report(report, documents("scan", path, *options))
    report = ferrule.scan([folder / "notes.pkl", folder / "nowhere"])
    assert_is_report(report, documents("scan", folder / "notes.pkl", folder / "nowhere"))
    assert report.verdict == "error" and report.counts["dangerous"] == 1
    with pytest.raises(FileNotFoundError):
        report.raise_for_errors()
    assert "1 file could not be opened" in str(report)


def test_clean_gives_the_document_of_the_command(tmp_path, documents):
    (tmp_path / ".ferrule-0123456789abcdef").mkdir()
    (tmp_path / "adapter" / ".ferrule-stage").mkdir(parents=True)
    expected = [str(tmp_path / ".ferrule-0123456789abcdef"), str(tmp_path / "adapter" / ".ferrule-stage")]
    report = ferrule.clean(tmp_path)
    assert sorted(report.removed) == expected and report and str(report).endswith("2 removed, 0 in use, 0 kept")
    report.raise_for_errors()
    assert_is_report(ferrule.clean(tmp_path), documents("clean", tmp_path))
    with pytest.raises(FileNotFoundError):
        ferrule.clean(tmp_path / "no" / "such" / "place")


def test_a_scan_says_what_would_run(folder):
    report = ferrule.scan(folder / "notes.pkl")
    assert not report and report.files[0].would_run[0].name == "posix.getcwd"
    with pytest.raises(ferrule.CorruptError) as caught:
        report.raise_for_errors()
    assert caught.value.path == str(folder / "notes.pkl")
    ferrule.scan(folder / "good").raise_for_errors()
    assert ferrule.scan(folder, allow=["posix.*"], fail_on="any").good


@pytest.mark.parametrize("verb", [ferrule.inspect, ferrule.verify, ferrule.scan, ferrule.open, ferrule.explain,
                                  ferrule.content_id])
def test_malformed_files_are_reports_or_errors(verb):
    for path in sorted(MALFORMED.iterdir()):
        try:
            verb(path)
        except ferrule.Error as error:
            assert error.rule or error.code in ("io", "not_found", "unsupported"), (path, error)


@pytest.mark.parametrize(("call", "argument"), [
    (lambda a: ferrule.verify({}), "path"),
    (lambda a: ferrule.verify([3]), "path"),
    (lambda a: ferrule.scan(3), "path"),
    (lambda a: ferrule.scan(a, allow="*.bin"), "allow"),
    (lambda a: ferrule.scan(a, fail_on=3), "fail_on"),
    (lambda a: ferrule.inspect(a, torch_key=3), "torch_key"),
    (lambda a: ferrule.verify(a, values="yes"), "values"),
    (lambda a: ferrule.verify(a, id=3), "id"),
    (lambda a: ferrule.check(a, a, values=1), "values"),
    (lambda a: ferrule.diff(a, a, tensors="all"), "tensors"),
])
def test_a_wrong_type_is_a_type_error_that_names_the_argument(lora, call, argument):
    with pytest.raises(TypeError, match=rf"^{argument}: expected "):
        call(lora)


def test_a_wrong_word_is_a_value_error(lora):
    with pytest.raises(ValueError, match='^fail_on: expected "dangerous", "unknown" or "any", found "never"$'):
        ferrule.scan(lora, fail_on="never")
    with pytest.raises(ValueError, match='^backing: expected "map" or "copy", found "ram"$'):
        ferrule.verify(lora, backing="ram")


def test_cases_of_peft_are_good():
    report = ferrule.verify(CASES)
    assert report.verified > 100 and report.bad == ferrule.inspect(CASES).bad
