"""The client's side: whatever is posted to port 8560 becomes a call, and whatever
the call prints becomes the answer. Unlike the original it answers in HTTP, and keeps
connections open."""

import http.server
import socketserver
import subprocess

PORT = 8560
TARGET = "vault"


class Dispatcher(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one packet for an answer

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = subprocess.Popen(
            ["/usr/bin/qrexec-client-vm", TARGET, "seed.Clefsign"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        answer = call.communicate(body)[0]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", PORT), Dispatcher) as server:
    server.serve_forever()
