"""One attempt, from the offer to the outcome."""
import base64
import json
import os
import queue
import re
import secrets
import socket
import tempfile
import time
from urllib.parse import quote, urlencode

from contents import Contents
from failure import Failure
from tree import Tree, fetch_files, write_context

# Characters of output that are kept for the coordinator.
UNACKNOWLEDGED = 4 * 1024 * 1024
# Characters of one text.
TEXT = 64 * 1024


class Steps:
    """What the classic builder writes, as steps and their lines."""

    def __init__(self, tell):
        self.tell, self.rest = tell, ""
        self.step = {"type": "step", "step": "begin", "name": "[internal] read the context"}
        self.tell({**self.step, "status": "started"})

    def output(self, text):
        begun = re.match(r"Step (\d+/\d+) : (.*)", text)
        if begun:
            self.end("done")
            self.step = {"type": "step", "step": f"step-{begun[1]}", "name": f"[{begun[1]}] {begun[2].strip()}"}
            self.tell({**self.step, "status": "started"})
        else:
            lines, _, self.rest = (self.rest + text).rpartition("\n")
            self.log(lines)

    def log(self, lines):
        for at in range(0, len(lines), TEXT):
            text = lines[at : at + TEXT]
            self.tell({"type": "log", "step": self.step["step"], "stream": "stdout", "text": text})

    def end(self, status, **more):
        self.log(self.rest)
        self.rest = ""
        self.tell({**self.step, "status": status, **more})


class Job:
    """One attempt."""

    def __init__(self, agent, attempt, task):
        self.agent, self.attempt, self.task = agent, attempt, task
        self.frame, self.unacknowledged, self.left_out, self.timings = 0, [], 0, {}
        self.answers, self.asked, self.open_question = queue.Queue(), 0, None
        self.cancelled, self.stop, self.received = None, None, 0

    def tell(self, event):
        """In a frame of its own. Output is left out while the coordinator does not take what there is."""
        with self.agent.order:
            held = sum(len(each.get("text", "")) for frame in self.unacknowledged for each in frame["events"])
            if event["type"] == "log" and held > UNACKNOWLEDGED:
                self.left_out += len(event["text"])
                return
            events = [{"time": int(time.time() * 1000), **event}]
            if self.left_out > 0:
                said = f"{self.left_out} characters were left out"
                events.insert(0, {"type": "warning", "time": events[0]["time"], "message": said})
                self.left_out = 0
            self.frame += 1
            message = {"type": "progress", "attempt": self.attempt, "frame": self.frame, "events": events}
            self.unacknowledged.append(message)
            self.agent.send(message)

    def acknowledged(self, frame):
        with self.agent.order:
            self.unacknowledged = [each for each in self.unacknowledged if each["frame"] > frame]

    def ask(self, question):
        self.asked += 1
        self.open_question = {"type": "ask", "attempt": self.attempt, "ask": self.asked, "question": question}
        self.agent.send(self.open_question)
        while True:
            if self.cancelled is not None:
                raise Failure("cancelled", self.cancelled)
            try:
                number, answer = self.answers.get(timeout=0.2)
            except queue.Empty:
                continue
            if number != self.asked:
                continue
            self.open_question = None
            if answer["kind"] == "error":
                error = answer["error"]
                raise Failure(error["code"], error["message"])
            return answer

    def stops(self, stop):
        self.stop = stop
        if self.cancelled is not None:
            stop()

    def cancel(self, reason):
        self.cancelled = reason
        try:
            (self.stop or (lambda: None))()
        except OSError:
            pass

    def run(self):
        try:
            outcome = {"status": "pushed", "image": self.build()}
        except Exception as error:
            code, kind = getattr(error, "code", "engine-error"), getattr(error, "kind", "infrastructure")
            said = {"code": code if isinstance(code, str) else "coordinator-unreachable", "message": str(error)}
            outcome = {"status": "failed", "kind": kind, "error": said, "timings": self.timings,
                       "sentBytes": self.received}
        if self.cancelled is not None:
            outcome = {"status": "cancelled", "reason": self.cancelled}
        self.agent.report(self, outcome)

    def timed(self, phase, work, *args):
        start = time.monotonic()
        try:
            return work(*args)
        finally:
            self.timings[phase] = round((time.monotonic() - start) * 1000)

    def build(self):
        with tempfile.TemporaryDirectory() as directory:
            hidden = f".dockerfile.{secrets.token_hex(8)}"
            tar = self.timed("context", self.fetch, directory, hidden)
            image_id = self.timed("build", self.build_image, tar, hidden)
        config = self.platform_of(image_id)
        digest, size = self.timed("push", self.push, image_id)
        return {"imageId": image_id, "digest": digest, "size": size, "config": config, "timings": self.timings,
                "sentBytes": self.received}

    def fetch(self, directory, hidden):
        task = self.task
        limits = task.get("contextLimits") or {"entries": 200_000, "bytes": 20 * 2**30, "pathBytes": 4096}
        link = self.agent.dial(f"/v1/agent/context?{urlencode({'agent': self.agent.name})}")
        link.socket.settimeout(600)
        self.stops(lambda: link.socket.shutdown(socket.SHUT_RDWR))
        contents = Contents(link)
        try:
            told = Tree(contents, task["dockerfile"]["root"], None, limits)
            name = task["dockerfile"]["name"]
            found = [entry for path, entry, _ in told.entries if path == name and entry[0] == b"f"]
            if not found:
                raise Failure("context-invalid", f"the tree has no Dockerfile {name}", "build")
            dockerfile = b"".join(contents.blob("sha256:" + found[0][4].decode(), int(found[0][3])))
            tree = Tree(contents, task["context"]["root"], task["context"].get("times"), limits)
            if sum(int(entry[3]) for _, entry, _ in tree.entries if entry[0] == b"f") > limits["bytes"]:
                raise Failure("context-limit", "the files of the context are too large", "build")
            before = contents.received
            fetch_files(tree, directory)
            self.received = contents.received - before
            return write_context(tree, directory, dockerfile, hidden)
        finally:
            link.close()

    def build_image(self, tar, hidden):
        task = self.task
        size = os.path.getsize(tar)
        target = dict(zip(("TARGETOS", "TARGETARCH", "TARGETVARIANT"), task["platform"].split("/")))
        args = {"TARGETPLATFORM": task["platform"], **target, **task["args"]}
        query = {"dockerfile": hidden, "buildargs": json.dumps(args), "labels": json.dumps(task["labels"]),
                 "rm": 1, "forcerm": 1, "platform": task["platform"]}
        query.update({"nocache": 1} if task["noCache"] else {}, **({"pull": 1} if task["pull"] else {}))
        optional = {"target": task.get("target"), "networkmode": task.get("network")}
        query.update({key: value for key, value in optional.items() if value is not None})
        query.update({"extrahosts": ",".join(task["extraHosts"])} if task["extraHosts"] else {})
        image_id, steps = None, Steps(self.tell)
        with open(tar, "rb") as body:
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
            self.tell({"type": "context", "engineBytes": size, "sentBytes": self.received})
            for message in self.agent.engine.messages("POST", f"/build?{urlencode(query)}", self, body, headers):
                image_id = message.get("aux", {}).get("ID", image_id)
                steps.output(message.get("stream", ""))
                if "error" in message:
                    steps.end("failed", error=message["error"])
                    raise Failure("build-failed", message["error"], "build")
        if self.cancelled is not None or image_id is None:
            raise Failure("engine-error", "the engine ended the build without an image")
        steps.end("done")
        return image_id

    def platform_of(self, image_id):
        image = self.agent.engine.json(f"/images/{image_id}/json")
        config = {"os": image["Os"], "architecture": image["Architecture"]}
        if image.get("Variant"):
            config["variant"] = image["Variant"]
        if self.task["platform"].split("/")[:2] != [config["os"], config["architecture"]]:
            message = f"the image is for {image['Os']}/{image['Architecture']} and not {self.task['platform']}"
            raise Failure("wrong-architecture", message, "build")
        return config

    def push(self, image_id):
        repository, tag = self.task["image"].rsplit(":", 1)
        auth = self.ask({"kind": "push-auth"})["auth"]
        shown = {"bearer": lambda: {"registrytoken": auth["token"]},
                 "basic": lambda: {"username": auth["username"], "password": auth["password"],
                                   "serveraddress": repository.split("/")[0]},
                 "anonymous": dict}[auth["type"]]()
        engine = self.agent.engine
        engine.call("POST", f"/images/{image_id}/tag?{urlencode({'repo': repository, 'tag': tag})}")
        headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(shown).encode()).decode()}
        pushed = None
        path = f"/images/{quote(repository)}/push?tag={quote(tag)}"
        for message in engine.messages("POST", path, self, b"", headers):
            if "error" in message:
                raise Failure("registry-error", message["error"])
            pushed = message.get("aux") or pushed
        if pushed is None:
            raise Failure("engine-error", "the engine ended the push without a digest")
        digests = engine.json(f"/images/{image_id}/json").get("RepoDigests") or []
        # With the containerd image store that is the image's id.
        if pushed["Digest"] != image_id and not any(each.endswith("@" + pushed["Digest"]) for each in digests):
            raise Failure("engine-error", f"{self.task['image']} was moved while it was pushed")
        return pushed["Digest"], pushed["Size"]
