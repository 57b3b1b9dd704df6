"""The conversation: paths and JSON on stdout, notes on stderr, silence when asked, nothing heavy for `--help`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import write_raster
from raster_files import fused, gentle_pair, rewritten, samples_of
from refusals import listing

import fusioncli
from fusioncli.workflows import fuse

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PROGRAM = [sys.executable, "-c", "from fusioncli.cli.main import run; run()"]
"""The console script, whether or not it is on the path."""


def shell(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run in a real shell, where "fusion" is the console script."""
    function = f'fusion() {{ {shlex.join(PROGRAM)} "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", function], capture_output=True, text=True, check=False, **options)


def test_last_line_is_the_path(make_pair, fusion, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif")
    assert outcome.stdout == f"{tmp_path / 'fused.tif'}\n"


def test_default_name_in_the_working_folder(make_pair, fusion, tmp_path, monkeypatch):
    pair = make_pair()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = fusion("pansharpen", *pair.flags)
    assert outcome.last_line == "ms_pansharpened.tif"
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "elsewhere", "elsewhere/ms_pansharpened.tif"}


def test_command_substitution_and_pipes(make_pair, tmp_path):
    """In a real shell: the path comes back, stderr holds plain notes and no bar."""
    pair = make_pair()
    command = f"out=$(fusion pansharpen {shlex.join(pair.flags)}) && fusion info --json $out | cat"
    done = shell(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["size"] == [256, 320]
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    assert "\x1b" not in done.stderr + done.stdout


def test_a_reader_that_leaves_is_no_error(make_pair):
    done = shell(f"set -o pipefail; fusion info {shlex.quote(str(make_pair().ms))} | head -n 1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("file")


@pytest.mark.parametrize("words", ["pansharpen --help", "recipes ls", "info ms.tif", "align --ms ms.tif --pan pan.tif"])
def test_a_reader_that_has_left_before(make_pair, tmp_path, words):
    """Code 141, as of a program that SIGPIPE ends; nothing on stderr, and no bug is reported."""
    make_pair()
    done = shell(f"(sleep 0.2; fusion {words}; echo $? > code) | true", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "code").read_text() == "141\n"


def test_an_error_that_nobody_reads(tmp_path):
    done = shell("(sleep 0.2; fusion info nowhere.tif; echo $? > code) 2>&1 | true", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "code").read_text() == "141\n"


def test_errors_of_the_real_process(make_pair, tmp_path):
    """No traceback, warning or library message joins the two lines."""
    pair = make_pair(nodata=0)
    os.truncate(pair.ms, pair.ms.stat().st_size // 2)
    done = shell(f"fusion pansharpen -q {shlex.join(pair.flags)} -o fused.tif", cwd=tmp_path)
    assert done.returncode == 3
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert done.stdout == ""


def test_interrupt_and_resume(make_pair, tmp_path):
    """A real Ctrl-C in the middle of a real process: code 130, one line, no product; then the same command resumes."""
    pair = make_pair(shape=(2400, 20))
    command = [*PROGRAM, "pansharpen", *pair.flags, "-o", "fused.tif", "--part-size", "256", "--json", "--threads", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    process = subprocess.Popen(command, **pipes)
    while not list(tmp_path.glob("fused.tif.parts/*/part*.tif")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1] == "interrupted: what is finished is kept, the same command resumes"
    assert "Traceback" not in stderr
    assert not (tmp_path / "fused.tif").exists()
    again = subprocess.run(command, check=True, **pipes)
    assert json.loads(again.stdout)["reused_parts"] > 0
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "fused.tif"}


def test_json_is_one_object(make_pair, fusion, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif", "--json")
    facts = json.loads(outcome.stdout)
    assert facts["output"] == str(tmp_path / "fused.tif")
    assert (facts["verdict"], facts["ratio"], facts["size"]) == ("paste", [4, 4], [4, 256, 320])
    assert (facts["dtype"], facts["nodata"]) == ("uint16", None)


def test_dry_run_writes_nothing(make_pair, fusion, tmp_path, monkeypatch):
    pair = make_pair()
    monkeypatch.setattr(fuse, "Engine", lambda *_: pytest.fail("work was begun"))
    before = listing(tmp_path)
    plain = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--dry-run")
    planned = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--dry-run", "--json").json
    assert listing(tmp_path) == before
    shown = dict(line.split(None, 1) for line in plain.stdout.splitlines())
    assert set(shown) == set(planned)
    assert shown["verdict"] == "paste"
    assert planned["memory_mb"] > 0
    assert planned["output_mb"] == pytest.approx(4 * 256 * 320 * 2 / 1e6, abs=0.05)


def test_dry_run_tells_the_truth(make_pair, fusion, tmp_path):
    flags = [*make_pair().flags, "-o", tmp_path / "fused.tif", "--json"]
    planned = fusion("pansharpen", *flags, "--dry-run").json
    done = fusion("pansharpen", *flags).json
    assert {key: done[key] for key in planned} == planned


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet(make_pair, fusion, tmp_path, flag):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif", flag)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.last_line == str(tmp_path / "fused.tif")


def test_notes_are_lines_of_their_own(make_pair, fusion, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif")
    assert outcome.stderr
    assert all(line.startswith("note: ") for line in outcome.stderr.splitlines())


def test_verbose_shows_the_plan(make_pair, fusion, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif", "-v")
    assert "verdict: paste" in outcome.stderr
    assert outcome.stdout == f"{tmp_path / 'fused.tif'}\n"


def test_gdal_configuration_reaches_gdal(make_pair, fusion, tmp_path):
    """Without GDAL_PAM_ENABLED, statistics beside a file are not read; with a tiny cache, results are the same."""
    pair = make_pair()
    beside = pair.ms.with_name("ms.tif.aux.xml")
    beside.write_text('<PAMDataset><Metadata><MDI key="SATELLITE">GF2</MDI></Metadata></PAMDataset>')
    assert fusion("info", pair.ms, "--json").json["sensor"] == "GF2"
    flags = [*pair.flags, "--dry-run", "--json"]
    assert fusion("pansharpen", *flags).json["sensor"] == "GF2"
    assert fusion("pansharpen", *flags, "--config", "GDAL_PAM_ENABLED=NO").json["sensor"] == "GENERIC"
    beside.unlink()
    expected = fused(fusion, pair, tmp_path / "expected.tif")
    small = fused(fusion, pair, tmp_path / "small.tif", "--config", "GDAL_CACHEMAX=1")
    assert (small == expected).all()


def test_info(make_pair, fusion, tmp_path):
    ms = rewritten(make_pair().ms, "twelve.tif", nbits=12, nodata=0)
    facts = fusion("info", ms, "--json").json
    assert facts["size"] == [64, 80]
    assert (facts["dtype"], facts["bit_depth"], facts["nodata"]) == ("uint16", 12, "0.0")
    assert (facts["crs"], facts["pixel_size"]) == ("EPSG:32631", [2.0, 2.0])
    assert facts["bounds"] == [500000, 5699872, 500160, 5700000]
    assert len(facts["bands"]) == 4
    plain = fusion("info", ms)
    assert plain.code == 0
    assert "EPSG:32631" in plain.stdout
    assert plain.stderr == ""


def test_info_shows_what_pansharpen_would_refuse(make_pair, fusion):
    """To mend bogus georeferencing one has to see it."""
    bogus = rewritten(make_pair().ms, "bogus.tif", crs="EPSG:4326")
    outcome = fusion("info", bogus, "--json")
    assert outcome.json["bounds"] == [500000, 5699872, 500160, 5700000]
    assert outcome.json["crs"] == "EPSG:4326"


def test_info_without_georeferencing_is_quiet(tmp_path):
    bare = write_raster(tmp_path / "bare.tif", np.ones((3, 8, 8), "uint8"))
    done = shell(f"fusion info {shlex.quote(str(bare))}")
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor(fusion):
    facts = fusion("doctor", "--json").json
    assert facts["fusion"] == fusioncli.__version__
    assert facts["gdal"] == rasterio.__gdal_version__
    assert facts["cog_driver"] is True
    assert "torch" in fusion("doctor").stdout


def test_version(fusion):
    outcome = fusion("--version")
    assert (outcome.code, outcome.stdout) == (0, f"fusion {fusioncli.__version__}\n")


@pytest.mark.parametrize("flags", [["--help"], ["--version"], ["pansharpen", "--help"], ["align", "-h"], ["pansharpn"]])
def test_nothing_heavy_is_imported_for_a_few_words(flags):
    """The guard against slow help: none of the libraries that take a second to load."""
    heavy = "torch", "rasterio", "numpy", "scipy", "skimage"
    code = (
        "import sys; from fusioncli.cli.main import main; code = main(sys.argv[1:]);"
        f"print([name for name in {heavy!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.returncode == (2 if flags == ["pansharpn"] else 0)


@pytest.mark.parametrize("verb", ["pansharpen", "align", "info", "doctor"])
def test_help_of_every_verb(fusion, verb):
    outcome = fusion(verb, "--help")
    assert outcome.code == 0
    assert outcome.stderr == ""
    assert "--json" in outcome.stdout


def test_paths_with_blanks_and_accents(fusion, tmp_path):
    folder = tmp_path / "été 2021 (1) & <co>"
    folder.mkdir()
    pair = gentle_pair(folder, dtype="uint16")
    result = fused(fusion, pair, folder / "fusé é.tif")
    assert result.shape == (4, 256, 320)
    assert {path.name for path in folder.iterdir()} == {"ms.tif", "pan.tif", "fusé é.tif"}


def test_virtual_paths(fusion, tmp_path):
    """What rasterio opens is accepted: a member of a ZIP, by GDAL's name for it."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    expected = fused(fusion, pair, tmp_path / "expected.tif")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "scene.zip", "ms.tif"], cwd=tmp_path, check=True)
    virtual = f"/vsizip/{tmp_path}/scene.zip/ms.tif"
    outcome = fusion("pansharpen", "--ms", virtual, "--pan", pair.pan, "-o", tmp_path / "fused.tif")
    assert outcome.code == 0, outcome.stderr
    assert (samples_of(tmp_path / "fused.tif") == expected).all()
    assert Path(outcome.last_line) == tmp_path / "fused.tif"
