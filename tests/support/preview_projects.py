"""Projects to preview, and how they come into a workspace."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.workspace_node import Node

#: What an Express app does, with nothing to install: it says what reached it, redirects and sets cookies from its root.
_SERVER = """const { createServer } = require('node:http');
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const page = `<!doctype html><title>one</title><link rel=stylesheet href=/style.css><script src=/script.js></script>`;
const server = createServer((request, answer) => {
  const path = request.url.split('?')[0];
  const say = (status, headers, body) => { answer.writeHead(status, headers); answer.end(body); };
  if (path === '/') return say(200, { 'content-type': 'text/html', 'set-cookie': ['a=1; Path=/', 'b=2'] }, page);
  if (path === '/script.js') return say(200, { 'content-type': 'text/javascript' }, "document.title = 'two'");
  if (path === '/style.css') return say(200, { 'content-type': 'text/css' }, 'body { color: rgb(1, 2, 3) }');
  if (path === '/login') return say(302, { location: '/welcome?from=login', 'set-cookie': 'sid=7; Path=/; HttpOnly' });
  if (path === '/absolute') return say(302, { location: `http://${request.headers.host}/welcome` });
  if (path === '/away') return say(302, { location: 'https://elsewhere.example/welcome' });
  if (path === '/broken') return say(500, { 'content-type': 'text/plain' }, 'mine');
  if (path === '/gone') return say(404, { 'content-type': 'text/plain' }, 'mine');
  if (path === '/upload') {
    const digest = createHash('sha256');
    request.on('data', (piece) => digest.update(piece));
    return request.on('end', () => say(200, {}, digest.digest('hex')));
  }
  if (path === '/events') {
    answer.writeHead(200, { 'content-type': 'text/event-stream' });
    return answer.write('data: first\\n\\n');
  }
  const { method, url, headers } = request;
  const told = { method, url, headers, text: readFileSync('text.txt', 'utf8') };
  say(200, { 'content-type': 'application/json' }, JSON.stringify(told));
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  socket.on('error', () => {});
  // Whatever the visitor says is goodbye.
  socket.on('data', () => socket.end(Buffer.from([0x88, 0])));
  const accept = createHash('sha1').update(key).digest('base64');
  const text = Buffer.from(`${request.url} ${request.headers.cookie ?? '-'}`.slice(0, 120));
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n');
  socket.write(`Sec-WebSocket-Accept: ${accept}\\r\\n\\r\\n`);
  socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
});
server.listen(Number(process.env.PORT), process.env.HOST);
"""


def node_server(text: str = "first") -> dict[str, str]:
    """A project of a server that Node runs."""
    package = {"name": "sample", "version": "1.0.0", "scripts": {"dev": "node server.js"}}
    # Without the folder the node would install first.
    return {"package.json": json.dumps(package), "server.js": _SERVER, "text.txt": text, "node_modules/.keep": ""}


def put(node: Node, user_id: str, app_id: str, files: dict[str, str] | Path) -> Path:
    """The app's folder with these files, or with a copy of that folder, as the user's programs would make it."""
    folder = node.home(user_id) / "apps" / app_id
    if isinstance(files, Path):
        shutil.copytree(files, folder, symlinks=True)
    else:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    owner = f"{node.settings.uid}:{node.settings.uid}"
    subprocess.run(["chown", "-hR", owner, str(folder)], check=True)
    return folder
