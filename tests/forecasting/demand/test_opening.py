"""Files that are whole, cut off, or something else than a trace."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from forecasting.demand.trace import read_trace
from tests.forecasting.demand.written import csv, demand, refusal, table


def test_a_file_that_is_not_there_is_a_matter_of_usage(tmp_path: Path) -> None:
    sentence = " cannot be read: No such file or directory; give --trace a parquet or CSV file"

    assert refusal(tmp_path / "nowhere.parquet") == sentence


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", ["t_s,queue,demand_gpus\n0,förschung,1\n", "t_s,größe,demand_gpus\n0,8,1\n"])
def test_csv_that_is_not_utf8_is_refused_with_what_to_save_it_as(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding=encoding)

    assert refusal(path) == " is CSV that is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)"


def test_a_letter_that_is_not_utf8_is_found_a_megabyte_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"t_s,queue,demand_gpus\n" + b"0,research,1\n" * 200_000 + "60,förschung,1\n".encode("latin-1"))

    assert refusal(path).startswith(" is CSV that is not UTF-8; ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_are_read_as_they_are_spelled(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("t_s,queue,demand_gpus\n0,förschung,1\n60,förschung,2\n", encoding=encoding)

    assert demand(read_trace(path)) == {"förschung": [1.0, 2.0]}


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    assert refusal(tmp_path) == " cannot be read: Is a directory; give --trace a parquet or CSV file"


@pytest.mark.parametrize("kept", [4, 9, -20])
def test_a_parquet_file_that_is_cut_off_is_called_so(tmp_path: Path, kept: int) -> None:
    whole = table(tmp_path, t_s=[0, 60], demand_gpus=[1, 2])
    whole.write_bytes(whole.read_bytes()[:kept])

    assert refusal(whole) == " is parquet that is cut off: its end is missing; write or copy it again"


def test_a_parquet_file_that_has_its_end_and_not_its_middle_is_damaged(tmp_path: Path) -> None:
    whole = table(tmp_path, t_s=[0, 60], demand_gpus=[1, 2])
    whole.write_bytes(b"PAR1" + whole.read_bytes()[-90:])

    assert refusal(whole).startswith(" is parquet that is damaged: ")


HALF = "timestamp,queue,running_gpus,pending_gpus\n2026-03-02T12:00Z,a,1,0\n\n2026-03-02T12:05Z,a,2,0\n2026-03-0"


@pytest.mark.parametrize("name", ["half.csv", "half.csv.gz"])
def test_csv_that_is_cut_off_is_told_with_its_last_row(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(HALF.encode()) if path.suffix == ".gz" else HALF.encode())

    assert refusal(path) == (
        " is cut off: data row 3 has 1 of 4 cells, and is the last one; write or copy it again, or drop that row"
    )


@pytest.mark.parametrize(("row", "cells"), [("60,1,2", 3), ("60", 1)])
def test_a_row_of_other_cells_than_the_header_is_named(tmp_path: Path, row: str, cells: int) -> None:
    path = csv(tmp_path, f"t_s,demand_gpus\n0,1\n{row}\n120,2")

    assert refusal(path) == (
        f" is CSV whose rows differ: data row 2 has {cells} of 2 cells; give each row one for each name in the first "
        "line"
    )


def test_what_is_no_text_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)

    assert refusal(path) == " is neither parquet nor CSV: it is no text; give --trace a parquet or CSV file"
