"""How measurements on traces say what they lack."""

import pytest

from benchmarks import events, fidelity, forecast_cohorts, signals
from benchmarks.running import run


@pytest.mark.parametrize("program", [events, fidelity, forecast_cohorts, signals], ids=lambda module: module.__name__)
def test_who_tells_no_folder_of_traces_is_told_what_to_set(program: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GYROPILOT_TRACES", raising=False)
    monkeypatch.setattr("sys.argv", ["program"])

    with pytest.raises(SystemExit) as refused:
        run(program.main)  # type: ignore[attr-defined]

    assert refused.value.code == "GYROPILOT_TRACES is not set; give it the folder in which the traces lie"
