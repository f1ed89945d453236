"""What operations are given agrees with the program: variables, files, commands, hardening."""

import ast
import datetime
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.main import get_command

from dnapredict.cli.program import app
from dnapredict.service.log.log_database import Database

ROOT = Path(__file__).resolve().parents[2]
SERVING, GUIDE = ROOT / "serving", ROOT / "docs" / "how-to-run-in-production.md"
VARIABLE = re.compile(r"DNAPREDICT_[A-Z_]+")
COMPOSE = yaml.safe_load((SERVING / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (SERVING / "Dockerfile").read_text(encoding="utf-8")
# What PostgreSQL's own image needs to hand its folder to its own user.
POSTGRES_NEEDS = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}


def trees() -> Iterator[ast.Module]:
    for path in (ROOT / "src" / "dnapredict").rglob("*.py"):
        yield ast.parse(path.read_text(encoding="utf-8"))


def read_in(tree: ast.Module) -> Iterator[str]:
    """Variables that a module reads: from `os.environ` by name, or as an option's `envvar`."""
    names = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        asked: ast.expr | None = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
            asked = node.args[0]
        elif isinstance(node, ast.keyword) and node.arg == "envvar":
            asked = node.value
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            asked = node.slice if isinstance(node.ctx, ast.Load) else None
        if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
            yield asked.value
        elif isinstance(asked, ast.Name):
            yield names.get(asked.id, "")


def documented() -> set[str]:
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    return {match[0] for line in lines if line.startswith("| `DNAPREDICT_") and (match := VARIABLE.search(line))}


def test_every_variable_that_is_read_is_in_the_table_and_the_other_way_round():
    read = {name for tree in trees() for name in read_in(tree) if VARIABLE.fullmatch(name)}
    assert read == documented()
    assert len(read) >= 8


def test_no_file_of_operations_names_a_variable_that_nobody_reads():
    known = documented()
    for path in (*SERVING.glob("*.*"), SERVING / "Dockerfile", GUIDE):
        assert set(VARIABLE.findall(path.read_text(encoding="utf-8"))) <= known, path.name


def verbs() -> dict[str, set[str]]:
    """Every verb with the options that it takes."""
    found: dict[str, set[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None) or {"": command}
        for second, one in inner.items():
            options = {option for parameter in one.params for option in parameter.opts}
            found[f"{name} {second}".strip()] = options
    return found


def test_commands_of_the_guide_exist_with_their_options():
    text = GUIDE.read_text(encoding="utf-8")
    asked = re.findall(r"(?:dnapredict|rm(?: -v \S+)? service) ((?:[a-z]+ ?){1,2})([^\n`#]*)", text)
    known, found = verbs(), 0
    for words, rest in asked:
        name = next((n for n in (words.strip(), words.split()[0]) if n in known), None)
        if name:
            found += 1
            assert set(re.findall(r"(?<=\s)--[a-z-]+", " " + rest)) <= known[name], (name, rest)
    assert found >= 10


def test_the_image_is_no_root_and_says_whether_it_is_well():
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("USER 10001") > DOCKERFILE.index("RUN apt-get")
    assert "/readyz" in DOCKERFILE[DOCKERFILE.index("HEALTHCHECK") :]
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"ADD |curl|wget|latest", DOCKERFILE)


def test_what_the_image_copies_is_there_and_passes_the_ignore_file():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copies for source in line.split()}
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in kept), source


def test_containers_may_write_nothing_but_their_volumes_and_have_no_way_out():
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert set(service.get("cap_add", ())) <= POSTGRES_NEEDS, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for network in service["networks"]:
            options = COMPOSE["networks"][network]
            masquerade = options.get("driver_opts", {}).get("com.docker.network.bridge.enable_ip_masquerade")
            assert options.get("internal") or masquerade == "false", network
    assert set(COMPOSE["services"]) == {"database", "upgrade", "service", "mlflow"}


def test_no_page_without_a_sign_in_is_published_unless_asked_for_and_none_can_write_to_the_home():
    services = COMPOSE["services"]
    by_itself = {name for name, service in services.items() if not service.get("profiles")}
    assert {name for name in by_itself if services[name].get("ports")} == {"service"}
    mlflow = services["mlflow"]
    assert mlflow["profiles"] == ["analysts"]
    assert mlflow["volumes"] == ["home:/var/lib/dnapredict/home:ro"]
    (command,) = mlflow["command"]
    assert "mlflow.db?mode=ro" in command
    assert "--backend-store-uri=sqlite:////tmp/mlflow.db" in command


def test_no_password_stands_in_a_file():
    assert COMPOSE["services"]["service"]["environment"]["DNAPREDICT_DATABASE"].count(":") == 1
    assert {secret["file"].split("/")[1] for secret in COMPOSE["secrets"].values()} == {"secrets"}
    assert "serving/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8")


def test_the_drivers_lock_is_of_the_extra_and_held_to_hashes():
    lock = (SERVING / "postgres.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z-]+)==", lock, re.MULTILINE)
    assert pins == ["psycopg", "psycopg-binary"]
    assert lock.count("--hash=sha256:") > len(pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["postgres"][0].startswith("psycopg[binary]")


def driver_in(lock: str) -> dict[str, set[str]]:
    """The pins of the driver in a lock, and their hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^(psycopg[a-z-]*==\S+)(.*(?:\n    --hash=.*)+)", text, re.MULTILINE)
    return {pin: set(re.findall("sha256:[0-9a-f]+", hashes)) for pin, hashes in entries}


def test_the_drivers_lock_holds_the_releases_that_are_tested_and_is_renewed_with_them():
    assert driver_in("serving/postgres.lock") == driver_in("requirements-test.lock")
    assert len(driver_in("serving/postgres.lock")) == 2
    run = ["make", "--dry-run", "--assume-old=.venv/.made", "lock"]
    planned = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "> serving/postgres.lock" in planned


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", ["dnapredict.service", "dnapredict-cycle.service", "dnapredict-cycle.timer"])
def test_systemd_finds_nothing_wrong_with_the_unit(name: str):
    done = subprocess.run(["systemd-analyze", "verify", SERVING / name], capture_output=True, text=True, check=False)
    wrong = [line for line in done.stderr.splitlines() if name in line]
    assert [line for line in wrong if "/opt/dnapredict/bin/dnapredict is not executable" not in line] == []


@pytest.mark.parametrize("name", ["dnapredict.service", "dnapredict-cycle.service", "compose.yaml"])
def test_no_process_writes_its_memory_to_the_disk(name: str):
    lines = (SERVING / name).read_text(encoding="utf-8").splitlines()
    assert sum(line.split("#")[0].strip() in ("LimitCORE=0", "core: 0") for line in lines) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows writes no core files")
def test_a_command_writes_none_either_where_the_shell_allows_it(tmp_path: Path):
    code = (
        "import resource, sys; hard = resource.getrlimit(resource.RLIMIT_CORE)[1];"
        "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)); import atexit;"
        "atexit.register(lambda: print(resource.getrlimit(resource.RLIMIT_CORE)[0]));"
        "sys.argv = ['dnapredict', '--version']; from dnapredict.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[1:] == ["0"]


def test_the_weekly_jobs_of_systemd_and_windows_run_the_same_command():
    unit = (SERVING / "dnapredict-cycle.service").read_text(encoding="utf-8")
    task = ElementTree.parse(SERVING / "dnapredict-cycle.xml").getroot()  # noqa: S314 - a file of ours
    arguments = task.findtext(".//{*}Arguments") or ""
    assert "/dnapredict cycle /" in unit
    assert arguments.startswith("cycle ")


# The elements that Microsoft's Task Scheduler schema 1.2 allows in each element that the task uses.
TASK_ELEMENTS = """
    Task:            RegistrationInfo Triggers Settings Data Principals Actions
    RegistrationInfo: URI SecurityDescriptor Source Date Author Version Description Documentation
    Triggers:        BootTrigger RegistrationTrigger IdleTrigger TimeTrigger EventTrigger LogonTrigger CalendarTrigger
    CalendarTrigger: Repetition StartBoundary EndBoundary ExecutionTimeLimit Enabled RandomDelay ScheduleByWeek
    ScheduleByWeek:  WeeksInterval DaysOfWeek
    DaysOfWeek:      Monday Tuesday Wednesday Thursday Friday Saturday Sunday
    Settings:        MultipleInstancesPolicy DisallowStartIfOnBatteries StopIfGoingOnBatteries StartWhenAvailable
    Settings:        ExecutionTimeLimit Enabled RestartOnFailure WakeToRun Priority AllowHardTerminate
    Actions:         Exec
    Exec:            Command Arguments WorkingDirectory
"""
# Of these, the order counts.
IN_ORDER = ("CalendarTrigger", "Exec")
TASK_NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def test_the_windows_task_keeps_to_the_schema_of_the_task_scheduler():
    allowed: dict[str, list[str]] = {}
    for line in TASK_ELEMENTS.strip().splitlines():
        name, children = line.split(":")
        allowed.setdefault(name.strip(), []).extend(children.split())
    task = ElementTree.parse(SERVING / "dnapredict-cycle.xml").getroot()  # noqa: S314 - a file of ours
    assert {element.tag.partition("}")[0] + "}" for element in task.iter()} == {TASK_NAMESPACE}
    for element in task.iter():
        parent = element.tag.removeprefix(TASK_NAMESPACE)
        found = [child.tag.removeprefix(TASK_NAMESPACE) for child in element]
        known = allowed.get(parent, [])
        assert set(found) <= set(known), parent
        assert len(found) == len(set(found)), parent
        if parent in IN_ORDER:
            assert found == sorted(found, key=known.index), parent
    assert task.find(f".//{TASK_NAMESPACE}Actions").attrib == {}, "a context would need a principal of that name"
    start = datetime.datetime.fromisoformat(task.findtext(f".//{TASK_NAMESPACE}StartBoundary"))
    days = [day.tag.removeprefix(TASK_NAMESPACE) for day in task.find(f".//{TASK_NAMESPACE}DaysOfWeek")]
    assert days == [f"{start:%A}"]


def test_schtasks_can_read_the_encoding_of_the_windows_task():
    content = (SERVING / "dnapredict-cycle.xml").read_bytes()
    assert content.startswith(b'<?xml version="1.0"?>'), "no byte order mark, and no declared encoding"
    assert content.isascii()


def test_what_bentoml_packs_is_there_and_holds_no_secret():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["tool"]["bentoml"]["build"]
    for name in build["include"]:
        assert (ROOT / name).exists(), name
    assert "serving/secrets/" in build["exclude"]
    assert build["service"] == "serving.service:service"
    assert (ROOT / build["python"]["requirements_txt"]).exists()


def test_the_environments_database_has_precedence_over_the_file(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DNAPREDICT_DATABASE", "postgresql://log@environment.example/log")
    named = Database(tmp_path, "postgresql://log@file.example/log").name
    assert "environment.example" in named
    monkeypatch.delenv("DNAPREDICT_DATABASE")
    assert "file.example" in Database(tmp_path, "postgresql://log@file.example/log").name
