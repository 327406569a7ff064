"""Submits the queue load: a process of its own, so that what it uses is told apart. Prints when each run was made."""

from __future__ import annotations

import json
import sys
import threading
import time

from benchmarks.live.load import Class, name_of, namespace_of
from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.errors import Unavailable
from runs_core.schema.names import API_VERSION

FLAVOR = "H100-80GB"


def run_body(namespace: str, name: str, gpus: int, milliseconds: int | None = None) -> Object:
    """A run of one pod. milliseconds: that it runs until it ends, None: for ever."""
    lasts = {} if milliseconds is None else {"runs.dev/simulated-duration": f"{milliseconds}ms"}
    return {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "resources": {"flavor": FLAVOR, "gpus": gpus, "gpusPerPod": gpus},
            "template": {
                "metadata": {"annotations": lasts},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    }


def create(api: Api, path: str, body: Object) -> None:
    """Until the server has it: a busy one is asked again."""
    while True:
        try:
            api.call("POST", path, body)
        except Unavailable:
            time.sleep(0.5)
        except Refused as refusal:
            if refusal.reason == "AlreadyExists":
                return  # it was made, and the answer got lost
            raise
        else:
            return


def submit(api: Api, owner: int, cls: Class, made: list[tuple[str, float]]) -> None:
    """One every interval; what the server cannot take in time is made up for."""
    begin = time.monotonic()
    for number in range(cls.count):
        due = begin + number * cls.every_milliseconds / 1000
        time.sleep(max(0.0, due - time.monotonic()))
        asked = time.time()
        body = run_body(namespace_of(owner), name_of(cls, number), cls.gpus, cls.milliseconds)
        create(api, paths.collection("Run", namespace_of(owner)), body)
        made.append((f"{namespace_of(owner)}/{name_of(cls, number)}", asked))


def main() -> None:
    kubeconfig, owners, share = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    api = Api.connect(kubeconfig)
    made: list[tuple[str, float]] = []
    threads = [
        threading.Thread(target=submit, args=(api, owner, cls, made))
        for owner in range(owners)
        for cls in Class.of(share)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(made))


if __name__ == "__main__":
    main()
