# SPDX-License-Identifier: Apache-2.0
"""A cluster of two nodes on this machine, an object store and a Hub that its workers can reach."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest
import ray
from ray.cluster_utils import Cluster

ROOT = pathlib.Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/hub"))
from emulator import Hub  # noqa: E402
from s3 import ObjectStore  # noqa: E402


@pytest.fixture(scope="session")
def store():
    store = ObjectStore()
    yield store
    store.stop()


@pytest.fixture(scope="session")
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="session", autouse=True)
def cluster(store, hub, tmp_path_factory):
    # Workers are children of the nodes, and inherit this.
    os.environ.update(store.env())
    os.environ.update(HF_ENDPOINT=hub.url, HF_TOKEN=hub.world.add_user("ann"), HF_HOME=str(tmp_path_factory.mktemp("home")),
                      HF_HUB_DISABLE_XET="1", NO_PROXY="*", RAY_USAGE_STATS_ENABLED="0")
    # Short: the paths of Ray's sockets below it may have 107 bytes.
    os.environ["TMPDIR"] = tempfile.mkdtemp()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "resources": {"first": 1}})
    cluster.add_node(num_cpus=1, resources={"second": 1})
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
