"""Random schedules against the control plane, checked after every step by rules written down a second time.

Parts: `machine` (what Hypothesis may do), `world` (the replicas, their callers, what is checked when), `rules` (which
changes are allowed from one commit to the next), `requests` (what may be asked, and the right answer), `faults` (clock,
network and store of a schedule), `loop` (time that jumps), `replicas`, `http_plane` and `mariadb` (what it is played
over), `play` (by the thousand, in several processes).

Of 100 schedules, 96 are played over SQLite in memory, because services and statements are the same there and a schedule
takes 20 to 40 ms of processor time; 2 or 3 over HTTP, with all loops of the daemon, which takes three times as long; 1
or 2 over a real MariaDB, where locks, skipped rows and deadlocks are real. Whatever is drawn at random is drawn by
Hypothesis, and time passes only when nobody has anything to do: over SQLite and HTTP a seed plays the same schedules
again.

That the suite can fail was tried with these changes to the control plane, one at a time. The number says how many
schedules it took to find it.

    fences are not raised                                                 4
    fences are counted per job instead of per app                         4
    the reaper ignores the back-off                                       4
    claims ignore the back-off                                          135
    a report rewrites a terminal state                                   15
    any lease token is good                                              23
    no lease token is good                                               53
    an attempt whose lease expired may go live                          546
    an attempt may go live under another one's fence                     99
    a job that is going live is cancelled                                90
    a job that is going live is superseded                              159
    idempotency keys are not remembered                                   4
    idempotency keys do not compare the requests                          4
    attempts have no end                                                  4
    an expired job is requeued in front of its successor                209
    a claim that was not delivered counts as an attempt                   4
    retention forgets every ended job                                     4
    runners that are parked do not poll for what other replicas did     639
    the time-out counts from the order instead of the start             153
    slots are not counted                                                11
    labels are not compared                                             220
    a superseded job does not name its successor                          7
    a job that succeeded is retried                                      59
    over MariaDB: jobs are not locked and their versions not compared     4
    over MariaDB: neither lock nor turns per app, nor unique indexes      6
"""
