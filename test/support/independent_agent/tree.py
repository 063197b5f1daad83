"""Trees, as shared/context/README.md says under Trees, and the tar that an engine takes of one."""
import io
import json
import struct
import tarfile

from contents import CHUNKED, item
from failure import Failure


def decode_directory(record):
    """Entries as lists of fields, each of bytes. Throws Failure for what is no canonical record."""
    header = b"archfarm directory 1\0"
    fields = record.split(b"\0")
    entries, at = [], 1
    while at < len(fields) - 1:
        count = {b"f": 5, b"d": 4, b"l": 3, b"h": 3}.get(fields[at])
        if count is None:
            raise Failure("context-invalid", "an entry of unknown type", "build")
        entries.append(fields[at : at + count])
        at += count
    names = [entry[1] for entry in entries]
    again = header + b"".join(b"\0".join(entry) + b"\0" for entry in entries)
    legal = all(name not in (b"", b".", b"..") and b"/" not in name and len(name) <= 255 for name in names)
    if again != record or not legal or names != sorted(set(names)):
        raise Failure("context-invalid", "a directory that is not in canonical form", "build")
    return entries


class Tree:
    """All entries of a tree by path, depth first, with their modification times in nanoseconds."""

    def __init__(self, contents, root, times, limits):
        self.contents, self.limits, self.entries = contents, limits, []
        records, mtimes = self.fetch_all(root, times)
        self.walk("", root, times, records, mtimes)

    def fetch_all(self, root, times):
        """Records and times by digest, level by level."""
        records, mtimes, level = {}, {}, {(root, json.dumps(times))}
        while level:
            lacking = {digest for digest, _ in level} - records.keys()
            records.update(self.contents.checked(item("directory", digest, 0) for digest in lacking))
            told = [json.loads(text) for _, text in level if text != "null"]
            wanted = {each["digest"]: each["size"] for each in told if each["digest"] not in mtimes}
            for digest, size in wanted.items():
                mtimes[digest] = b"".join(self.contents.blob(digest, size))
            below = set()
            for digest, text in level:
                entries = decode_directory(records[digest])
                directories = [entry for entry in entries if entry[0] == b"d"]
                for number, entry in enumerate(directories):
                    inner = self.times_below(json.loads(text), mtimes, len(entries), number)
                    below.add(("sha256:" + entry[3].decode(), json.dumps(inner)))
            level = below
        return records, mtimes

    @staticmethod
    def times_below(times, mtimes, entries, number):
        if times is None:
            return None
        start = len(b"archfarm times 1\0") + 8 * entries + 36 * number
        data = mtimes[times["digest"]]
        (size,) = struct.unpack("!I", data[start + 32 : start + 36])
        return {"digest": "sha256:" + data[start : start + 32].hex(), "size": size}

    def walk(self, above, root, times, records, mtimes):
        entries, number = decode_directory(records[root]), 0
        for index, entry in enumerate(entries):
            path = above + entry[1].decode()
            mtime = 0
            if times is not None:
                (mtime,) = struct.unpack_from("!q", mtimes[times["digest"]], len(b"archfarm times 1\0") + 8 * index)
            self.entries.append((path, entry, mtime))
            if len(self.entries) > self.limits["entries"] or len(path.encode()) > self.limits["pathBytes"]:
                raise Failure("context-limit", f"the context is larger than its coordinator allows at {path}", "build")
            if entry[0] == b"d":
                inner = self.times_below(times, mtimes, len(entries), number)
                number += 1
                self.walk(f"{path}/", "sha256:" + entry[3].decode(), inner, records, mtimes)

    def files(self):
        return {"sha256:" + e[4].decode(): int(e[3]) for _, e, _ in self.entries if e[0] == b"f"}


def fetch_files(tree, directory):
    """Contents of all files, as files named by their digests."""
    small = {digest: size for digest, size in tree.files().items() if size <= CHUNKED}
    for digest, data in tree.contents.checked(item("blob", *each) for each in small.items()):
        with open(f"{directory}/{digest[7:]}", "wb") as file:
            file.write(data)
    for digest, size in tree.files().items():
        if size > CHUNKED:
            with open(f"{directory}/{digest[7:]}", "wb") as file:
                file.writelines(tree.contents.blob(digest, size))


def write_context(tree, directory, dockerfile, hidden):
    """The tar that an engine takes, with the Dockerfile under a name that it forgets again."""
    with tarfile.open(f"{directory}/context.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        ignore = b""
        for path, entry, mtime in tree.entries:
            info = tarfile.TarInfo(path)
            info.pax_headers = {"mtime": f"{mtime // 10**9}.{mtime % 10**9:09}"}
            if entry[0] in (b"f", b"d"):
                info.mode = int(entry[2], 8)
            if entry[0] == b"f":
                source = f"{directory}/{entry[4].decode()}"
                if path == ".dockerignore":
                    ignore = open(source, "rb").read()
                    continue
                info.size = int(entry[3])
                tar.addfile(info, open(source, "rb"))
                continue
            info.type = {b"d": tarfile.DIRTYPE, b"l": tarfile.SYMTYPE, b"h": tarfile.LNKTYPE}[entry[0]]
            if entry[0] != b"d":
                info.linkname = entry[2].decode()
            tar.addfile(info)
        for name, data in ((hidden, dockerfile), (".dockerignore", ignore + f"\n{hidden}\n".encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return f"{directory}/context.tar"
