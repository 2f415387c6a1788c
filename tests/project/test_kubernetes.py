"""examples/jobset.yaml: training on machines of a Kubernetes cluster."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from methods import METHODS
from PIL import Image
from runs import load

from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.validation import check_config

MANIFEST = yaml.safe_load((Path(__file__).parents[2] / "examples/jobset.yaml").read_text())
(JOB,) = MANIFEST["spec"]["replicatedJobs"]
POD = JOB["template"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {entry["name"]: entry.get("value") for entry in CONTAINER["env"]}
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@pytest.fixture
def volume(tmp_path):
    """A folder that holds what the volume should."""
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "my_data" / name).mkdir(parents=True)
        for i in range(3):
            picture = Image.effect_noise((20, 20), 60 + i).convert("RGB")
            picture.save(tmp_path / "my_data" / name / f"{i}.png")
    return tmp_path


def test_the_manifest_is_of_the_api_and_names_no_other_field():
    models = pytest.importorskip(
        "kubeflow_trainer_api.models", reason="no extra has it: pip install kubeflow-trainer-api"
    )
    assert models.JobsetV1alpha2JobSet.from_dict(MANIFEST).to_dict() == MANIFEST


def test_the_manifest_agrees_with_itself(volume, monkeypatch):
    assert (MANIFEST["apiVersion"], MANIFEST["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    name, job, spec = MANIFEST["metadata"]["name"], JOB["name"], JOB["template"]["spec"]
    assert ENVIRONMENT["PET_MASTER_ADDR"] == f"{name}-{job}-0-0.{name}"
    filled = [entry["valueFrom"] for entry in CONTAINER["env"] if "valueFrom" in entry]
    assert filled == [{"fieldRef": {"fieldPath": INDEX}}]
    assert ENVIRONMENT["PET_NODE_RANK"] is None
    assert int(ENVIRONMENT["PET_SHUTDOWN_TIMEOUT"]) < POD["terminationGracePeriodSeconds"]
    mounts = [mount["name"] for mount in CONTAINER["volumeMounts"]]
    assert mounts == [volume["name"] for volume in POD["volumes"]]
    assert CONTAINER["workingDir"] == CONTAINER["volumeMounts"][0]["mountPath"]

    monkeypatch.chdir(volume)
    cfg = check_overrides([*CONTAINER["args"], "output_dir=x"])
    check_config(cfg)
    nodes, devices = cfg.trainer.num_nodes, cfg.trainer.devices
    assert spec["completions"] == spec["parallelism"] == int(ENVIRONMENT["PET_NNODES"]) == nodes
    assert int(ENVIRONMENT["PET_NPROC_PER_NODE"]) == devices
    assert CONTAINER["resources"]["limits"] == {"nvidia.com/gpu": devices}


class Pods:
    """What both pods run, as torchrun's of this machine, in a folder instead of the volume."""

    def __init__(self, folder, max_steps):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        here = {"NPROC_PER_NODE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        smaller = [
            *METHODS["munit"].sizes,
            "trainer.devices=1",
            "trainer.accelerator=cpu",
            "trainer.precision=32-true",
            f"trainer.max_steps={max_steps}",
            "data.resize=18",
            "data.crop=[16,16]",
            "data.num_workers=0",
            "callbacks.grid.every_n_steps=1000",
            "callbacks.checkpoints.every_n_steps=5",
        ]
        torchrun, *rest = CONTAINER["command"]
        assert torchrun == "torchrun"
        command = [sys.executable, "-m", "torch.distributed.run", *rest, *CONTAINER["args"]]
        self.checkpoint = folder / "outputs/munit/first/checkpoints/last.ckpt"
        self.files = [folder / f"pod{index}.txt" for index in (0, 1)]
        self.pods = []
        for index, file in enumerate(self.files):
            given = {name: value or str(index) for name, value in ENVIRONMENT.items()}
            given |= {f"PET_{name}": str(value) for name, value in here.items()}
            environment = {**os.environ, **given, "OMP_NUM_THREADS": "1"}
            with file.open("w") as said:
                pod = subprocess.Popen(
                    [*command, *smaller], cwd=folder, env=environment, stdout=said, stderr=said
                )
            self.pods.append(pod)

    @property
    def said(self):
        return "".join(file.read_text() for file in self.files)

    def wait_for_a_checkpoint_after(self, step):
        deadline = time.monotonic() + 100
        while not self.checkpoint.exists() or load(self.checkpoint)["global_step"] <= step:
            assert time.monotonic() < deadline, self.said
            assert all(pod.poll() is None for pod in self.pods), self.said
            time.sleep(0.2)

    def kill_what_is_in(self, index):
        listed = subprocess.run(
            ["pgrep", "-P", str(self.pods[index].pid)], capture_output=True, text=True, check=True
        )
        for process in listed.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    def end(self):
        """Return the exit statuses, and the last iteration that was saved."""
        try:
            statuses = [pod.wait(100) for pod in self.pods]
        finally:
            for pod in self.pods:
                pod.kill()
        return statuses, load(self.checkpoint)["global_step"]


@pytest.mark.process
@pytest.mark.slow
def test_pods_that_are_lost_or_evicted_end_the_others_and_go_on_when_started_again(volume):
    pods = Pods(volume, 100_000)
    pods.wait_for_a_checkpoint_after(0)
    pods.kill_what_is_in(1)  # as where memory runs out
    statuses, lost_at = pods.end()
    assert 0 not in statuses, pods.said

    pods = Pods(volume, 100_000)
    pods.wait_for_a_checkpoint_after(lost_at)
    pods.pods[1].send_signal(signal.SIGTERM)
    statuses, evicted_at = pods.end()
    assert 0 not in statuses, pods.said
    assert f"SIGTERM: stopped after iteration {evicted_at}, saved" in pods.said

    pods = Pods(volume, evicted_at + 2)
    assert pods.end() == ([0, 0], evicted_at + 2), pods.said
    assert f"/{evicted_at:08}.ckpt" in pods.said  # what it went on from
