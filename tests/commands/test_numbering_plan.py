"""`python main.py numbering-plan`: from a file at the console to the zone of a mobile number."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from autodialer.campaign.zones import FoundZone, ZoneFinder
from autodialer.commands.numbering_plan import MOST_FAULTS, run_numbering_plan
from autodialer.config import Settings
from autodialer.errors import NotFound
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.dialer.world import ROOT
from tests.timing import at_most

PLAN = """\
АВС/ DEF;От;До;Емкость;Оператор;Регион;Территория ГАР;ИНН
913;0000000;9999999;10000000;ПАО "МТС";Новосибирская обл.;;7740000076
924;0000000;0999999;1000000;ПАО "МегаФон";Хабаровский край;;7812014560
924;1000000;1999999;1000000;ПАО "МегаФон";Страна Оз;;7812014560
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "DEF-9xx.csv"
    path.write_text(PLAN, encoding="utf-8-sig")
    return path


def test_an_imported_file_tells_the_zones_of_mobile_numbers(
    settings: Settings, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_numbering_plan(settings, str(plan)) == 0
    said = capsys.readouterr().out
    assert "3 ranges of 2 codes, 1 without a time zone" in said
    assert "unknown region 'Страна Оз': line 4" in said
    assert "in the plan: 2 codes of DEF-9xx.csv" in said
    with closing(Store(settings.url, secrets=cheap_secrets(settings.keys))) as store:
        finder = ZoneFinder(store.numbering_plan.zones())
    assert finder.find("+79131234567") == FoundZone(zone="Asia/Novosibirsk", by="plan")
    assert finder.find("+79240000001") == FoundZone(zone="Asia/Vladivostok", by="plan")
    assert finder.find("+79241000001") is None
    assert finder.find("+79161234567") is None


def test_without_a_file_the_command_tells_what_the_plan_is_made_of(
    settings: Settings, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_numbering_plan(settings, None) == 0
    assert "There is no numbering plan" in capsys.readouterr().out
    run_numbering_plan(settings, str(plan))
    capsys.readouterr()
    assert run_numbering_plan(settings, None) == 0
    assert capsys.readouterr().out.startswith("in the plan: 2 codes of DEF-9xx.csv, imported 20")


def test_a_file_with_many_faults_is_told_in_a_few_lines(
    settings: Settings, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with plan.open("a", encoding="utf-8") as file:
        file.write("999;x;x;x;x;x\n" * (MOST_FAULTS + 5))
    assert run_numbering_plan(settings, str(plan)) == 0
    said = capsys.readouterr().out
    assert said.count("left out: line") == MOST_FAULTS
    assert "left out: 5 lines more" in said


def test_a_file_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(NotFound, match=r"no file 'nowhere\.csv'"):
        run_numbering_plan(settings, "nowhere.csv")


@pytest.mark.process
def test_the_command_line_imports_a_file_and_refuses_a_wrong_one_in_one_line(tmp_path: Path, plan: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "numbering-plan"]
    environment = {"DIALER_DATA": str(tmp_path / "data"), "PATH": ""}
    taken = subprocess.run(
        [*command, str(plan)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert (taken.returncode, taken.stderr) == (0, "")
    assert "2 codes of DEF-9xx.csv" in taken.stdout
    plan.write_text("number\n79161234567\n")
    refused = subprocess.run(
        [*command, str(plan)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("file is no numbering plan")
    assert refused.stderr.count("\n") == 1
