"""A hub on loopback: what the client of the extra ``hub`` asks of one, and no more."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 100_000  # bytes from which on a file goes by LFS, unless git would rather have it


def blob_of(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(ThreadingHTTPServer):
    """Repositories as lists of commits, each ``{name: content}``; `log` has the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.stored, self.log, self.lfs = {}, {}, [], set()
        self.token = "hf_test"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, name, files, *, branch="main"):
        """Add a commit that has exactly these files; its hash."""
        repository = self.repositories.setdefault(name, {"refs": {}, "commits": {}})
        text = json.dumps([len(repository["commits"]), sorted((k, blob_of(v)) for k, v in files.items())])
        sha = hashlib.sha1(text.encode()).hexdigest()
        repository["commits"][sha] = dict(files)
        repository["refs"][branch] = sha
        return sha

    def files(self, name, revision="main"):
        repository = self.repositories[name]
        return repository["commits"].get(repository["refs"].get(revision, revision))

    def handle_error(self, request, client_address):
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._route("HEAD")

    def do_GET(self):
        self._route("GET")

    def do_POST(self):
        self._route("POST")

    def do_PUT(self):
        self._route("PUT")

    def _route(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        path = unquote(urlsplit(self.path).path)
        self.server.log.append(f"{method} {path}")
        for pattern, action in _ROUTES:
            found = re.fullmatch(pattern, f"{method} {path}")
            if found:
                return action(self, *found.groups())
        return self._answer(404, {"error": f"no such thing: {method} {path}"})

    def _answer(self, status, document, headers=()):
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self, code):
        self._answer(404, {"error": "not found"}, [("X-Error-Code", code), ("X-Error-Message", "not found")])

    def _allowed(self):
        if self.headers.get("Authorization") == f"Bearer {self.server.token}":
            return True
        self._answer(401, {"error": "Invalid username or password."})
        return False

    def info(self, name, revision):
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._missing("RepoNotFound")
        files = self.server.files(name, revision)
        if files is None:
            return self._missing("RevisionNotFound")
        sha = repository["refs"].get(revision, revision)
        siblings = []
        for path, content in files.items():
            entry = {"rfilename": path, "size": len(content), "blobId": blob_of(content)}
            if len(content) >= LARGE:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 134}
            siblings.append(entry)
        return self._answer(200, {"id": name, "sha": sha, "siblings": siblings, "private": False, "tags": []})

    def resolve(self, name, revision, path):
        files = self.server.files(name, revision) if name in self.server.repositories else None
        if files is None or path not in files:
            return self._missing("EntryNotFound" if files is not None else "RevisionNotFound")
        content = self.server.stored.get((name, path), files[path])  # another one, where a test says so
        large = len(content) >= LARGE
        etag = hashlib.sha256(files[path]).hexdigest() if large else blob_of(files[path])
        sha = self.server.repositories[name]["refs"].get(revision, revision)
        headers = [("X-Repo-Commit", sha), ("ETag", f'"{etag}"')]
        if large:
            headers += [("X-Linked-Size", str(len(content))), ("X-Linked-Etag", f'"{etag}"')]
        return self._answer(200, content, headers)

    def create(self):
        if not self._allowed():
            return None
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        if name in self.server.repositories:
            return self._answer(409, {"error": "You already created this model repo", "url": name})
        self.server.commit(name, {".gitattributes": b"*.keras filter=lfs\n"})
        self.server.repositories[name]["private"] = asked.get("private", asked.get("visibility") == "private")
        return self._answer(200, {"url": f"{self.server.url}/{name}"})

    def validate(self):
        self._answer(200, {"errors": [], "warnings": []})

    def branch(self, name, branch):
        if not self._allowed():
            return None
        refs = self.server.repositories[name]["refs"]
        if branch in refs:
            return self._answer(409, {"error": "Reference already exists"})
        refs[branch] = refs["main"]
        return self._answer(200, {})

    def preupload(self, name, revision):
        if not self._allowed():
            return None
        files = json.loads(self.body)["files"]
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                "shouldIgnore": False,
            }
            for file in files
        ]
        return self._answer(200, {"files": modes})

    def batch(self, name):
        objects = json.loads(self.body)["objects"]
        found = [
            {**one, "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}", "header": {}}}}
            for one in objects
        ]
        self._answer(200, {"transfer": "basic", "objects": found})

    def store(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._answer(400, {"error": "another content"})
        self.server.stored[oid] = self.body
        self.server.lfs.add(oid)
        return self._answer(200, {})

    def commit(self, name, revision):
        if not self._allowed():
            return None
        files, summary = dict(self.server.files(name, revision)), None
        for line in self.body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "header":
                summary = value["summary"]
            elif row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        sha = self.server.commit(name, files, branch=revision)
        self.server.repositories[name].setdefault("summaries", []).append(summary)
        url = f"{self.server.url}/{name}/commit/{sha}"
        return self._answer(200, {"success": True, "commitOid": sha, "commitUrl": url})


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    (rf"GET /api/models/{_NAME}/revision/([\w.-]+)", _Handler.info),
    (rf"(?:GET|HEAD) /{_NAME}/resolve/([\w.-]+)/(.+)", _Handler.resolve),
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST /api/models/{_NAME}/branch/([\w.-]+)", _Handler.branch),
    (rf"POST /api/models/{_NAME}/preupload/([\w.-]+)", _Handler.preupload),
    (rf"POST /{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(\w+)", _Handler.store),
    (rf"POST /api/models/{_NAME}/commit/([\w.-]+)", _Handler.commit),
)
