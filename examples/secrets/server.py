"""Hands out a model to whoever has the token: it stands for a server of your company."""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Models(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != f"Bearer {os.environ['MODELS_TOKEN']}":
            return self.send_error(401)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a threshold of 0.87\n")


server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8765), Models)
print(f"serving on port {server.server_port}", flush=True)
server.serve_forever()
