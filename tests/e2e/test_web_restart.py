"""Restart and reload by the API: what waits for a restart, listening places that change, one that can't be had."""
import os
import poplib
import socket
import time

from harness import free_ports, wait_until
from test_web import Client, WebTest


class Restart(WebTest):
    def health(self):
        try:
            return Client(self.server).ask("GET", "/health")
        except OSError:
            return 0, {}, {}

    def restart(self):
        client, before = self.signed_in(), self.health()[1]["since"]
        wait_until(lambda: int(time.time()) > before)  # since is of whole seconds
        self.assertEqual(client.api("POST", "/restart", {})[0], 204)

        def is_back():
            status, answer, _ = self.health()
            return status == 200 and answer["since"] != before
        self.assertTrue(wait_until(is_back, 60), self.server.log_text()[-3000:])

    def waiting(self, client):
        return [o["name"] for o in client.api("GET", "/options")[1]["options"] if o["waits"]]

    def change(self, **values):
        client = self.signed_in()
        values = {name.replace("_", "-"): value for name, value in values.items()}
        version = client.api("GET", "/options")[1]["version"]
        self.assertEqual(client.api("PATCH", "/options", {"version": version, "values": values})[0], 200)
        return client

    def test_another_port(self):
        client, master, roles = self.signed_in(), self.server.process.pid, self.server.role_pids()
        self.assertEqual(self.waiting(client), [])
        port = free_ports(1)[0]
        self.change(Listen_pop3=f"127.0.0.1:{port}", MaxMTAOps="20")
        self.assertEqual(self.waiting(client), ["Listen-pop3"])
        with socket.create_connection(("127.0.0.1", self.server.ports["pop3"]), 10):
            self.restart()
        self.assertEqual(client.api("GET", "/session")[0], 401)
        self.assertEqual(self.waiting(self.signed_in()), [])
        poplib.POP3("127.0.0.1", port, timeout=30).quit()
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", self.server.ports["pop3"]), 10)
        self.assertIsNone(self.server.process.poll())
        self.assertEqual(self.server.process.pid, master)
        self.assertFalse(set(roles) & set(self.server.role_pids()))
        self.assertFalse(os.path.exists(self.server.path(".restart")))

    def test_a_place_that_is_taken(self):
        """A restart never ends in a server that serves nobody."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.change(Listen_finger=f"127.0.0.1:{taken.getsockname()[1]}")
            self.restart()
        self.assertIn("listening where it did before", self.server.log_text())
        self.assertEqual(self.signed_in().api("GET", "/status")[0], 200)
        with socket.create_connection(("127.0.0.1", self.server.ports["smtp"]), 30) as s:
            self.assertTrue(s.recv(3) == b"220")
        self.change(Listen_finger=f"127.0.0.1:{self.server.ports['finger']}")
        self.restart()

    def test_reload(self):
        client, roles = self.signed_in(), self.server.role_pids()
        self.assertEqual(client.api("POST", "/reload", {})[0], 204)
        self.assertTrue(wait_until(lambda: not os.path.exists(self.server.path(".reload"))))
        self.assertEqual(self.server.role_pids(), roles)
        self.assertEqual(self.signed_in("viewer").api("POST", "/reload", {})[0], 403)


if __name__ == "__main__":
    import unittest
    unittest.main()
