"""The launcher's side of a local run: workers are started and watched, tasks handed out, what they made is gathered.

    task:  waiting → running → made (by its worker, not committed) → committed

A worker that dies takes with it what it has not committed: those tasks wait again, and another worker is started in its
place. A task whose worker has died three times ends the run. Where no task waits any more, a worker that is idle gets
the second half of what another still has to read.
"""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

import msgspec

from mrjerb import signals
from mrjerb.engines import Listener
from mrjerb.engines.local import worker as worker_process
from mrjerb.engines.local.processes import Janitor, die_with_parent, kill_group, lead_group
from mrjerb.engines.local.runs import Segment
from mrjerb.engines.local.tasks import Commit, Done, Failed, Flush, Gave, Give, Progress, Stop, Task
from mrjerb.errors import EngineError, RecordError
from mrjerb.inputs.splitting import cuttable
from mrjerb.plan import Outcome, Plan, Split, TaskReport
from mrjerb.running import Skipped

ATTEMPTS: Final = 3
POLL: Final = 0.2  # seconds between two looks at what nobody has told
GIVABLE: Final = 8 << 20  # bytes that a worker must have left for some to be asked of it
_fork = multiprocessing.get_context("fork")


@dataclass
class Member:
    """A worker as the launcher sees it."""

    number: int
    process: BaseProcess
    pipe: Connection
    running: Task | None = None
    since: float = 0.0
    """When it was given the running task, in Unix time."""
    counters: dict[str, int] = field(default_factory=dict)
    """What it has counted since its last commit, as it said last."""
    made: list[Task] = field(default_factory=list)
    read: int = 0
    """Bytes of the running task so far."""
    asked: bool = False
    """Whether it was asked to give, and has not answered."""
    spent: bool = False
    """Whether it had too little left to give any of it."""
    flushing: bool = False


class Pool:
    """Some workers and what they do. Use it as a context: it leaves no process."""

    def __init__(
        self,
        plan: Plan,
        listener: Listener,
        janitor: Janitor,
        outcome: Outcome,
        *,
        workers: int,
        memory: int,
        partitions: int,
        folder: str,
    ) -> None:
        self.plan, self.listener, self.janitor = plan, listener, janitor
        self.workers, self.memory, self.partitions, self.folder = workers, memory, partitions, folder
        self.outcome = outcome
        self.skipped = Skipped(plan.settings.skip_bad)
        self.skipped.found = outcome.bad
        self.members: list[Member] = []
        self.process = os.getpid()
        self.looked = time.monotonic()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with signals.held():
            if error is not None:
                self.unfinished()
            for member in self.members:
                self.end(member)

    def run(self, number: int, tasks: list[Task]) -> list[Segment]:
        """One stage: every task is run and committed. The segments that they made."""
        stage = _Stage(self, number, tasks)
        self.listener.stage(self.plan.stages[number].name, len(tasks), sum(task.size for task in tasks))
        while not stage.over:
            stage.hand_out()
            self.turn(stage)
            self.listener.progress(stage.read, stage.committed, self.counters())
        return stage.segments

    def turn(self, stage: "_Stage") -> None:
        """Wait for a word, and hear what there is."""
        pipes = {member.pipe: member for member in self.members}
        for pipe in wait(list(pipes), timeout=POLL):
            member = pipes[pipe]  # pyright: ignore[reportArgumentType]
            try:
                message = member.pipe.recv()
            except (EOFError, OSError):  # its end, perhaps in the middle of a word
                self.died(member, stage)
            else:
                stage.hear(member, message)
        if time.monotonic() - self.looked > POLL:
            self.look(stage)

    def look(self, stage: "_Stage") -> None:
        """See who has died without a word: another process may hold a pipe's other end, such as a child of a worker."""
        self.looked = time.monotonic()
        for member in list(self.members):
            if member.process.exitcode is not None and not member.pipe.poll():
                self.died(member, stage)

    def start(self) -> Member:
        """Start a worker. What asks this process to end waits until it is known that there is one."""
        with signals.held():
            number = 1 + max((member.number for member in self.members), default=-1)
            ours, theirs = _fork.Pipe()
            process = _fork.Process(target=self._child, args=(theirs, ours, number), name=f"mrjerb {number}")
            process.start()
            theirs.close()
            lead_group(process.pid or 0)
            self.janitor.started(process.pid or 0)
            member = Member(number, process, ours)
            self.members.append(member)
        return member

    def _child(self, theirs: Connection, ours: Connection, number: int) -> None:
        ours.close()
        for member in self.members:
            member.pipe.close()
        die_with_parent(self.process)
        worker_process.main(self.plan, theirs, number, self.folder, self.memory, self.partitions)

    def end(self, member: Member) -> None:
        """Kill a worker, if it lives, and all that it has started."""
        pid = member.process.pid or 0
        kill_group(pid)  # its number is its own until it is joined
        self.janitor.ended(pid)
        member.process.join()
        member.pipe.close()

    def died(self, member: Member, stage: "_Stage") -> None:
        """A worker is gone: what it has not committed waits again. Raises EngineError for a task that kills workers."""
        self.end(member)
        self.members.remove(member)
        how = _how(member.process.exitcode)
        lost = [*member.made, *([member.running] if member.running else [])]
        for task in [member.running] if member.running else member.made:  # it died in it, or in writing them
            task.attempts += 1
            if task.attempts >= ATTEMPTS:
                self.failed_in(member, task)
                raise EngineError(
                    f"{task.name}: a worker that read it {how}, {ATTEMPTS} times; the job may take more "
                    "memory than this machine has (try fewer --workers), or ends the process itself"
                )
        self.outcome.retried += len(lost)
        self.listener.say(f"worker {member.number} {how}; {len(lost)} of its tasks are run again")
        stage.again(lost, member)

    def stop(self) -> None:
        """Have all workers end in good order, with the job's teardown."""
        for member in self.members:
            _tell(member, Stop())
        for member in list(self.members):
            self.ended(member)

    def ended(self, member: Member) -> None:
        """A worker's last word: what its teardown had to say."""
        try:
            while True:
                while not member.pipe.poll(POLL):
                    if member.process.exitcode is not None and not member.pipe.poll():
                        raise EOFError  # though another process may hold the pipe's other end
                message = member.pipe.recv()
                if isinstance(message, Failed):
                    self.fail(member, message)
                if isinstance(message, Commit):
                    self.gather(message)
                    return
        except (EOFError, OSError):
            self.end(member)
            self.members.remove(member)
            raise EngineError(f"worker {member.number} {_how(member.process.exitcode)} in the job's teardown") from None

    def counters(self) -> dict[str, int]:
        """All counters so far, with what workers have not committed."""
        return _sum(self.outcome.counters, *(member.counters for member in self.members))

    def fail(self, member: Member, message: Failed) -> None:
        """A worker can't go on. Raises what it says, once its task is known as the one that failed."""
        member.counters = message.counters
        self.outcome.bad += message.bad
        if member.running is not None:
            self.failed_in(member, member.running)
        raise message.error

    def failed_in(self, member: Member, task: Task) -> None:
        """A task has failed, which ends the run."""
        seconds = time.time() - member.since
        self.outcome.tasks.append(
            TaskReport(task.stage, task.name, seconds, 0, 0, task.size, member.number, member.since, failed=True)
        )

    def unfinished(self) -> None:
        """The run ends before its time: what is known and not committed is put into the outcome."""
        self.outcome.counters = self.counters()
        self.outcome.tasks += [task.report for member in self.members for task in member.made if task.report]

    def gather(self, commit: Commit) -> None:
        """What a commit holds becomes part of the outcome."""
        outcome = self.outcome
        outcome.counters = _sum(outcome.counters, commit.counters)
        self.listener.counted(outcome.counters)
        outcome.parts += commit.parts
        outcome.tasks += commit.reports
        outcome.groups += commit.groups
        outcome.spilled += sum(segment.end - segment.start for segment in commit.segments)
        for bad in commit.bad:
            self.skipped.add(bad, RecordError(bad.where, bad.error, f"  {bad.raw:.200}"))


class _Stage:
    """The tasks of one stage, and how far they are."""

    def __init__(self, pool: Pool, number: int, tasks: list[Task]) -> None:
        self.pool = pool
        self.waiting = deque(tasks)
        self.tasks = {task.number: task for task in tasks}
        self.mapping = any(task.split is not None for task in tasks)
        self.to_table = pool.plan.stages[number].shuffle is not None
        self.segments: list[Segment] = []
        self.committed = 0
        self.read = 0

    @property
    def over(self) -> bool:
        return self.committed == len(self.tasks)

    def hand_out(self) -> None:
        """Tasks to workers without one; where none waits, work is taken over, and at last all is committed."""
        pool = self.pool
        idle = [member for member in pool.members if member.running is None and not member.flushing]
        while self.waiting and (idle or len(pool.members) < pool.workers):
            member = idle.pop() if idle else pool.start()
            member.running, member.read, member.spent = self.waiting.popleft(), 0, False
            member.since = time.time()
            _tell(member, member.running)
        if self.waiting:
            return
        busy = sum(member.running is not None for member in pool.members)
        if busy:
            self.take_over(pool.workers - busy)
            return
        for member in pool.members:
            if member.made and not member.flushing:
                member.flushing = True
                _tell(member, Flush())

    def take_over(self, idle: int) -> None:
        """Ask the workers that have most left for half of it, where some have nothing to do or are not started yet. One
        that is busy with a record answers late; others may have something meanwhile."""
        members = self.pool.members
        able = [one for one in members if not one.asked and not one.spent and _left(one) > GIVABLE]
        free = idle - sum(member.asked for member in members)
        for member in sorted(able, key=_left, reverse=True)[: max(free, 0)]:
            member.asked = True
            _tell(member, Give())

    def hear(self, member: Member, message: object) -> None:
        """A worker's word."""
        if isinstance(message, Progress):
            member.read += message.bytes
            member.counters = message.counters
            self.read += message.bytes
        elif isinstance(message, Done):
            if member.running is not None and member.running.number == message.task:
                member.running.report = message.report
                member.made.append(member.running)
                member.running, member.asked = None, False
        elif isinstance(message, Gave):
            self.gave(member, message)
        elif isinstance(message, Commit):
            self.commit(member, message)
        elif isinstance(message, Failed):
            self.pool.fail(member, message)

    def gave(self, member: Member, message: Gave) -> None:
        """A worker has given up the end of its split: that is a task now."""
        task = member.running
        member.asked = False
        if message.end is None or task is None or task.split is None or task.number != message.task:
            member.spent = True
            return
        split = task.split
        given = Task(len(self.tasks), task.stage, (task.of[0], message.end), _cut(split, message.end, split.end))
        task.split = _cut(split, split.start, message.end)
        self.tasks[given.number] = given
        self.waiting.append(given)

    def commit(self, member: Member, message: Commit) -> None:
        """Tasks of a worker are over for good."""
        self.pool.gather(message)
        self.segments += message.segments
        self.committed += len(message.tasks)
        done = set(message.tasks)
        if member.running is not None and member.running.number in done:
            member.running, member.asked = None, False
        member.made = [task for task in member.made if task.number not in done]
        member.flushing = member.flushing and not message.flushed

    def again(self, lost: Iterable[Task], member: Member) -> None:
        """Tasks of a worker that died wait again."""
        for task in lost:
            self.waiting.appendleft(task)
            self.read -= task.size if task is not member.running else member.read
        self.read = max(self.read, 0)


def _sum(*counters: Mapping[str, int]) -> dict[str, int]:
    """Counters added up, name by name."""
    found: dict[str, int] = {}
    for some in counters:
        for name, amount in some.items():
            found[name] = found.get(name, 0) + amount
    return found


def _cut(split: Split, start: int, end: int) -> Split:
    return msgspec.structs.replace(split, start=start, end=end)


def _left(member: Member) -> int:
    """Bytes that a worker has yet to read; 0 of what can't be cut."""
    split = member.running.split if member.running is not None else None
    return split.size - member.read if split is not None and cuttable(split) else 0


def _tell(member: Member, message: object) -> None:
    """Say something to a worker. Where it has died, the pipe's end tells so in the next turn."""
    try:
        member.pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        time.sleep(0.01)


def _how(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended by itself with status {code}"


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
