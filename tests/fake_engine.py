"""A worker in the place of llama.cpp: the same start and end, a `/health`, and no model.

Its one argument says what to do: "serve", "hang" (never loaded), or words to die with while loading.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


def main():
    json.loads(sys.stdin.readline())
    what = sys.argv[1]
    if what == "serve":
        server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"ready http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
    elif what != "hang":
        sys.exit(what)
    sys.stdin.read()


if __name__ == "__main__":
    main()
