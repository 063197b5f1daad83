"""An agent in another language: it follows shared/README.md and shared/context/README.md, shares no code with archfarm
and needs nothing but Python's standard library, so that tests show whether these documents suffice.

It builds with the engine's classic builder, one attempt at a time, and declines what that cannot do (secrets, ssh,
tests of images, additional contexts). It keeps no store of contents: each attempt fetches its whole trees.
"""
import argparse
import hashlib
import json
import os
import random
import secrets
import sys
import threading
import time

from engine import Engine
from failure import Failure
from job import Job
from websocket import Closed, WebSocket


class Agent:
    def __init__(self, options):
        self.options, self.name, self.engine = options, options.name, Engine(options.engine)
        self.session = secrets.token_urlsafe(12)
        self.jobs, self.reports, self.link = {}, {}, None
        # Held while messages are sent whose order counts.
        self.order = threading.RLock()
        os.makedirs(options.data, exist_ok=True)
        for file in os.listdir(options.data):
            if not file.endswith(".new"):
                report = json.load(open(f"{options.data}/{file}"))
                self.reports[report["attempt"]] = {**report, "lastFrame": 0}

    def dial(self, path):
        return WebSocket(self.options.coordinator, path, self.options.token)

    def send(self, message):
        """Lost without a connection: what counts is sent again on the next."""
        try:
            if self.link is not None:
                self.link.send(json.dumps(message))
        except OSError:
            pass

    def journal(self, attempt):
        return f"{self.options.data}/{hashlib.sha256(attempt.encode()).hexdigest()}"

    def report(self, job, outcome):
        message = {"type": "report", "attempt": job.attempt, "lastFrame": job.frame, "outcome": outcome}
        with open(f"{self.journal(job.attempt)}.new", "w") as file:
            json.dump(message, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(file.name, self.journal(job.attempt))
        print(f"{job.attempt} {outcome['status']}", flush=True)
        with self.order:
            self.reports[job.attempt] = message
            self.send(message)

    def hello(self):
        version = self.engine.json("/version")
        hello = {"type": "hello", "protocol": self.options.protocol, "version": "0-python", "name": self.name,
                 "session": self.session, "platforms": [{"platform": self.options.platform, "native": True}],
                 "slots": 1, "weight": 1, "labels": dict(label.split("=", 1) for label in self.options.label),
                 "state": "ready",
                 "engine": {"version": version["Version"], "apiVersion": version["ApiVersion"]},
                 "attempts": list({*self.jobs, *self.reports})}
        return {**hello, "policy": []} if self.options.protocol >= 3 else hello

    def beats(self, link, heartbeat):
        while self.link is link:
            time.sleep(heartbeat / 1000 * random.uniform(0.9, 1.1))
            if self.link is link:
                self.send({"type": "beat", "state": "ready"})

    def connect(self):
        """One connection, until it ends."""
        link = self.dial("/v1/agent")
        link.socket.settimeout(45)
        link.send(json.dumps(self.hello()))
        while True:
            _, data = link.receive()
            message = json.loads(data)
            if message["type"] == "welcome":
                with self.order:
                    self.link = link
                    self.say_again()
                link.socket.settimeout(message["lost"] / 1000)
                threading.Thread(target=self.beats, args=(link, message["heartbeat"]), daemon=True).start()
                print(f"connected by protocol {message['protocol']}", flush=True)
            else:
                self.handle(message)

    def say_again(self):
        for job in list(self.jobs.values()):
            for message in [*job.unacknowledged, job.open_question]:
                if message is not None:
                    self.send(message)
        for message in list(self.reports.values()):
            self.send(message)

    def handle(self, message):
        kind, attempt = message["type"], message.get("attempt")
        job = self.jobs.get(attempt)
        if kind == "offer":
            self.offered(attempt, message["task"])
        elif kind == "prove":
            error = {"code": "agent-lost", "message": "this agent runs no images"}
            outcome = {"status": "failed", "kind": "infrastructure", "error": error, "output": "", "duration": 0}
            self.send({"type": "proved", "proof": message["proof"], "outcome": outcome})
        elif kind == "settle":
            self.settle(attempt)
        elif job is not None and kind == "acknowledge":
            job.acknowledged(message["frame"])
        elif job is not None and kind == "answer":
            job.answers.put((message["ask"], message["answer"]))
        elif job is not None and kind == "cancel":
            job.cancel(message["reason"])

    def offered(self, attempt, task):
        beyond = [name for name in ("secrets", "ssh", "contexts", "test", "cacheFrom") if task.get(name)]
        busy = any(name not in self.reports for name in self.jobs)
        if attempt in self.jobs or attempt in self.reports:
            return self.send({"type": "accept", "attempt": attempt})
        if beyond or busy:
            reason = f"this agent knows no {beyond[0]}" if beyond else "all slots are busy"
            print(f"{attempt} declined: {reason}", flush=True)
            return self.send({"type": "decline", "attempt": attempt, "reason": reason})
        self.send({"type": "accept", "attempt": attempt})
        self.jobs[attempt] = Job(self, attempt, task)
        threading.Thread(target=self.jobs[attempt].run, daemon=True).start()

    def settle(self, attempt):
        job = self.jobs.pop(attempt, None)
        if job is not None and attempt not in self.reports:
            job.cancel("nobody wants its result")
        if self.reports.pop(attempt, None) is not None:
            os.unlink(self.journal(attempt))

    def run(self):
        pause = 0.5
        while True:
            begun = time.monotonic()
            try:
                self.connect()
            except (OSError, Closed, Failure) as error:
                print(f"not connected: {error}", file=sys.stderr, flush=True)
                if getattr(error, "code", None) == 4401:
                    sys.exit(78)
            self.link = None
            pause = 0.5 if time.monotonic() - begun > 60 else min(30, pause * 2)
            time.sleep(random.uniform(0, pause))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for flag in ("coordinator", "name", "platform", "engine", "data"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--protocol", type=int, default=3)
    parser.add_argument("--token")
    parser.add_argument("--label", action="append", default=[])
    Agent(parser.parse_args()).run()
