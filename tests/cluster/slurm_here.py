"""A Slurm of one node in a folder: its daemons, its configuration, and the environment in which commands find it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "squeue", "scancel", "scontrol", "srun", "sinfo")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
WAIT = 30.0
PATIENCE = 300.0
"""Seconds for a job to come to where it should be, on a machine that does other things besides."""

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
UnkillableStepTimeout=600
InactiveLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmUnavailable(Exception):
    """Why there is no Slurm here."""


class Slurm:
    """Daemons that run until `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Raises SlurmUnavailable where it cannot run."""
        for name in (*DAEMONS, *CLIENTS):
            if shutil.which(name, path=PATH) is None:
                raise SlurmUnavailable(f"{name} is not installed")
        if os.geteuid() != 0:
            raise SlurmUnavailable("slurmctld and slurmd are started by root alone")
        (self.folder / "state").mkdir()
        (self.folder / "spool").mkdir()
        host = socket.gethostname().split(".")[0]
        controller, node = _free_ports(2)
        text = CONFIGURATION.format(host=host, controller=controller, node=node, folder=self.folder)
        (self.folder / "slurm.conf").write_text(text)
        self._start_munge()
        configuration = ["-f", str(self.folder / "slurm.conf")]
        self._daemon("slurmctld", "-D", *configuration)
        self._daemon("slurmd", "-D", "-N", host, *configuration)
        self._wait_for(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T"), "its node does not come up")

    def stop(self) -> None:
        """Ends all jobs and daemons."""
        if len(self._daemons) > 1:
            subprocess.run(
                ["scancel", "--full", "--signal=KILL", "--user=root"], env=os.environ | self.environment, check=False
            )
            deadline = time.monotonic() + 10
            while self.say("squeue", "-h", "-t", "RUNNING,COMPLETING") and time.monotonic() < deadline:
                time.sleep(0.2)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def say(self, *command: str) -> str:
        """What a command says; nothing where it fails."""
        run = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        return run.stdout.strip() if run.returncode == 0 else ""

    def facts(self, job: str) -> dict[str, str]:
        """What `scontrol` says of a job."""
        words = self.say("scontrol", "show", "job", "-o", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job: str, state: str | tuple[str, ...], restarts: int = 0, *, now: bool = False) -> None:
        """Until a job is in one of the states, followed by its exit code where that matters, and was put back so often.

        Slurm lets jobs that were put back wait for two minutes; with `now` they are told to start, again and again,
        for it may set that time after it has been told.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            facts = self.facts(job)
            if f"{facts['JobState']} {facts['ExitCode']}".startswith(state) and facts["Restarts"] == str(restarts):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"not {state}, restarts {restarts}: {facts} {self.say('sinfo', '-N', '-l', '-R')}")
            if now and facts["JobState"] == "PENDING":
                self.say("scontrol", "update", f"JobId={job}", "StartTime=now")
            time.sleep(0.2)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {"socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munged.seed"}
        options = [f"--{name}={self.folder / file}" for name, file in files.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *options)
        self._wait_for((self.folder / "munge.sock").exists, "munged makes no socket")

    def _daemon(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.out").open("wb") as output:
            self._daemons.append(
                subprocess.Popen(
                    [shutil.which(name, path=PATH) or name, *options],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | self.environment,
                )
            )

    def _wait_for(self, happened: object, why: str) -> None:
        deadline = time.monotonic() + WAIT
        while not happened():  # type: ignore[operator]
            ended = [d for d in self._daemons if d.poll() is not None]
            if ended or time.monotonic() > deadline:
                self.stop()
                logs = " ".join(p.read_text(errors="replace")[-300:] for p in sorted(self.folder.glob("*.out")))
                raise SlurmUnavailable(f"Slurm does not start here: {why}. {logs}".strip())
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
