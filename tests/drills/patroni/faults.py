"""What is done to the cluster. Each fault says when it happens by calling `now`; what it returns mends it afterwards."""

import signal
import time

from cluster import signal_all

STRICT = {"synchronous_mode": True, "synchronous_mode_strict": True, "maximum_lag_on_failover": 1 << 20}
NOT_STRICT = STRICT | {"synchronous_mode_strict": False}
# A standby that lags may be promoted, as it may where an administrator sets no effective limit.
ASYNCHRONOUS = {"synchronous_mode": False, "synchronous_mode_strict": False, "maximum_lag_on_failover": 1 << 30}


def kill_postmaster(cluster, primary, now):
    now()
    primary.kill_postmaster()


def kill_node(cluster, primary, now):
    now()
    primary.kill()
    return primary.start


def freeze_node(cluster, primary, now):
    now()
    signal_all(primary.folder, signal.SIGSTOP)
    return lambda: signal_all(primary.folder, signal.SIGCONT)


def switch_over(cluster, primary, now):
    now()
    cluster.patronictl("switchover", "simo", "--leader", primary.name)


def kill_node_that_was_left_alone(cluster, primary, now):
    """Both standbys die, Patroni lets the primary go on without them, it dies too, and an administrator promotes a standby."""
    standbys = [node for node in cluster.nodes if node is not primary]
    for node in standbys:
        node.kill()
    time.sleep(2)
    cluster.must("create table if not exists alone (); drop table alone", seconds=120)
    time.sleep(2)
    now()
    primary.kill()
    for node in standbys:
        node.start()
    time.sleep(5)
    cluster.patronictl("failover", "simo", "--candidate", standbys[0].name)
    return primary.start


def kill_node_with_standbys_behind(cluster, primary, now):
    """The standbys get nothing for two seconds before the node dies, as over a line that is slow."""
    signal_all(primary.folder, signal.SIGSTOP, only=b"walsender")
    time.sleep(2)
    now()
    primary.kill()
    return primary.start


# Name: Patroni's settings, the fault, and whether every promise must hold.
CASES = {
    "postmaster": (STRICT, kill_postmaster, True),
    "node": (STRICT, kill_node, True),
    "freeze": (STRICT, freeze_node, True),
    "switchover": (STRICT, switch_over, True),
    "behind": (STRICT, kill_node_with_standbys_behind, True),
    "not-strict": (NOT_STRICT, kill_node_that_was_left_alone, False),
    "asynchronous": (ASYNCHRONOUS, kill_node_with_standbys_behind, False),
}
