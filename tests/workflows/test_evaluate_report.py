"""What leaves an evaluation: JSON, CSV, Markdown, limits, peaks. No NaN, nothing rounded but the tables."""

from __future__ import annotations

import csv
import io
import json
from math import inf

import pytest
import torch
from pytest import approx

from fusioncli.core.sensors import find_sensor
from fusioncli.errors import DataError, QualityGateError, UsageError
from fusioncli.metrics.suites import SuiteSettings
from fusioncli.workflows.evaluate.gate import Limit, check_limits, find_limits
from fusioncli.workflows.evaluate.measure import Figures, View, Yardstick, spread
from fusioncli.workflows.evaluate.peak import STATED, Peak
from fusioncli.workflows.evaluate.report import EvalReport, Index, columns

INDICES = (Index("ERGAS", False, ""), Index("Q2n", True, ""), Index("PSNR_pooled", True, "dB"))
ROWS = {
    "exp": Figures({"ERGAS": 3.14159265358979, "Q2n": 0.8, "PSNR_pooled": None}, undefined={"PSNR_pooled": "why"}),
    "gsa": Figures({"ERGAS": 1.0, "Q2n": 0.9, "PSNR_pooled": inf}, masked=0.25),
}
REPORT = EvalReport({"protocol": "centred", "ratio": 4, "versions": {"torch": "2"}}, INDICES, ROWS, ("a note",))


def test_json_holds_full_precision_and_no_nan() -> None:
    parsed = json.loads(json.dumps(REPORT.as_json(), allow_nan=False))
    exp, gsa = parsed["rows"]
    assert exp == {"image": "exp", "values": {"ERGAS": 3.14159265358979, "Q2n": 0.8, "PSNR_pooled": None}, "masked": 0}
    assert gsa["values"]["PSNR_pooled"] == "inf"
    assert gsa["masked"] == 0.25
    assert (parsed["protocol"], parsed["notes"]) == ("centred", ["a note"])


def test_csv() -> None:
    first, second = csv.DictReader(io.StringIO(REPORT.as_csv()))
    assert first == {"image": "exp", "ERGAS": "3.14159265358979", "Q2n": "0.8", "PSNR_pooled": "", "masked": "0.0"}
    assert float(second["PSNR_pooled"]) == inf


def test_csv_with_deviations() -> None:
    row = Figures({"ERGAS": 2.0}, {"ERGAS": (2.5, 0.5)})
    text = EvalReport({"versions": {}}, INDICES[:1], {"exp": row}, ()).as_csv()
    assert text == "image,ERGAS,ERGAS_mean,ERGAS_std,masked\nexp,2.0,2.5,0.5,0.0\n"


def test_markdown_marks_the_best() -> None:
    lines = REPORT.as_markdown().splitlines()
    assert lines[0] == "| image | ERGAS ↓ | Q2n ↑ | PSNR_pooled ↑ | masked |"
    assert lines[2] == "| exp | 3.142 | 0.8000 | – | 0.00% |"
    assert lines[3] == "| gsa | **1.000** | **0.9000** | **inf** | 25.00% |"
    assert "protocol: centred · ratio: 4 · torch 2" in lines
    assert lines[-1] == "- a note"
    unmasked = EvalReport(REPORT.facts, INDICES, {"exp": ROWS["exp"]}, ()).as_markdown()
    assert "masked" not in unmasked
    assert "| 6442 |" in EvalReport(REPORT.facts, INDICES[:1], {"exp": Figures({"ERGAS": 6442.1})}, ()).as_markdown()


def test_one_row_is_not_the_best() -> None:
    alone = EvalReport(REPORT.facts, INDICES, {"gsa": ROWS["gsa"]}, ())
    assert not any(best for _, best in alone.cells("gsa"))


def test_limits() -> None:
    assert find_limits([Limit("ergas", 3), Limit("psnr-pooled", 30)], INDICES) == [
        Limit("ERGAS", 3),
        Limit("PSNR_pooled", 30),
    ]
    check_limits([Limit("ERGAS", 3.2), Limit("Q2n", 0.8)], REPORT)
    with pytest.raises(QualityGateError, match=r"ERGAS of exp is 3.14159, above 3") as caught:
        check_limits([Limit("ERGAS", 3)], REPORT)
    assert caught.value.exit_code == 5
    with pytest.raises(QualityGateError, match=r"Q2n of exp is 0.8, below 0.85"):
        check_limits([Limit("Q2n", 0.85)], REPORT)
    with pytest.raises(QualityGateError, match="PSNR_pooled of exp is undefined"):
        check_limits([Limit("PSNR_pooled", 0)], REPORT)
    with pytest.raises(UsageError, match="'EGRAS'") as caught:
        find_limits([Limit("EGRAS", 3)], columns(["reduced-resolution"]))
    assert "did you mean 'ERGAS'" in caught.value.hint


def test_spread_leaves_out_what_is_undefined() -> None:
    assert spread([{"A": 1.0, "B": None}, {"A": 3.0, "B": None}]) == {"A": (2.0, approx(2**0.5))}
    assert spread([{"A": inf}, {"A": 1.0}]) == {"A": (inf, inf)}
    assert spread([]) == {}


def test_peak() -> None:
    image = torch.tensor([[[[1.0, 2000.0]]]])
    Peak(2047, STATED).check(image, None)
    with pytest.raises(DataError, match=r"holds 2000, more than the peak 1023"):
        Peak(1023, STATED).check(image, None)
    Peak(1023, STATED).check(image, torch.tensor([[[[True, False]]]]))
    assert not Peak(2047, STATED).note
    assert find_sensor("WV3").bit_depth == 11


def test_q2n_of_reflectance_is_refused_by_name() -> None:
    """Q2n rounds to integers: on images of peak 1 it would call everything perfect."""
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)

    def read(rect):
        area = (..., slice(rect.row0, rect.row1), slice(rect.col0, rect.col1))
        return {"reference": image[area], "fused": 0.5 * image[area]}, None

    view = View(64, 64, 3, read)
    silent = lambda stage, done, total: None  # noqa: E731
    figures = Yardstick("reduced-resolution", SuiteSettings(4, 1.0), 1, None, silent).measure(view)
    assert figures.values["Q2n"] is None
    assert "--scale" in figures.undefined["Q2n"]
    assert figures.values["SAM"] == approx(0, abs=1e-5)
