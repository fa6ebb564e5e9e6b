#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of examples/http_service.cc by HTTP: http_service_test.py PROGRAM."""
import http.client
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
USER = -1  # none of those that the example generates


class Service:
    """The program on a store, at a port of its choice; killed at the end."""

    def __init__(self, store):
        self._process = subprocess.Popen([PROGRAM, store, "0"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # which type checkers do not know
        self.port = int(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def ask(self, method, path):
        """The status and the text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def append(self, item, time):
        return self.ask("POST", f"/append?user={USER}&item={item}&time={time}")

    def retrieve(self, candidates, k=1, user=USER):
        named = "".join(f"&candidate={c}" for c in candidates)
        return self.ask("GET", f"/retrieve?user={user}&k={k}{named}")


class HttpService(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Path(folder.name) / "store"

    def test_what_is_appended_is_retrieved_until_it_is_forgotten(self):
        with Service(self.store) as service:
            self.assertEqual(service.retrieve([5]), (200, "\n"))
            self.assertEqual(service.append(5, 1), (200, ""))
            self.assertEqual(service.append(9, 2), (200, ""))
            self.assertEqual(service.retrieve([9, 5]), (200, "9 \n5 \n"))
            status, text = service.retrieve([9, 5], k=3)  # more than there are
            lines = [sorted(line.split()) for line in text.splitlines()]
            self.assertEqual((status, lines), (200, [["5", "9"], ["5", "9"]]))
            self.assertEqual(service.ask("POST", f"/forget?user={USER}"), (200, ""))
            self.assertEqual(service.retrieve([9]), (200, "\n"))

    def test_histories_survive_a_kill(self):
        with Service(self.store) as service:
            service.append(5, 1)
            generated = service.retrieve([0, 1], k=2, user=50)
        self.assertNotEqual(generated, (200, "\n\n"))
        with Service(self.store) as service:
            self.assertEqual(service.retrieve([7]), (200, "5 \n"))
            self.assertEqual(service.retrieve([0, 1], k=2, user=50), generated)

    def test_wrong_requests_are_refused(self):
        with Service(self.store) as service:
            self.assert_refused(service.retrieve([-5]), "candidates[0] = -5")
            self.assert_refused(service.retrieve(["x"]), "'x' is not a number")
            self.assert_refused(service.retrieve([1], k=0), "k must be at least 1")
            self.assert_refused(service.append(-1, 1), "item -1")
            self.assert_refused(service.append(1, ""), "'' is not a number")
            self.assert_refused(service.ask("POST", "/forget"), "'' is not a number")
            self.assertEqual(service.ask("GET", "/nothing")[0], 404)
            self.assertEqual(service.retrieve([5]), (200, "\n"))

    def test_metrics_count(self):
        with Service(self.store) as service:
            service.append(5, 1)
            service.append(9, 2)
            service.retrieve([5])
            service.retrieve([-5])
            status, text = service.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        for line in ('eta_request_seconds_count{kind="retrieve"} 1',
                     'eta_failed_requests_total{kind="retrieve"} 1',
                     "eta_appended_behaviours_total 2"):
            self.assertIn(line, text.splitlines())

    def test_wrong_arguments(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            store = str(self.store)
            cases: list[tuple[list[str], str]] = [
                ([], "usage: http_service FOLDER PORT"),
                ([store, "65536"], "'65536' is not a number"),
                ([store, str(port)], f"port {port} is taken")]
            for arguments, message in cases:
                done = subprocess.run([PROGRAM] + arguments, capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (2, message + "\n"))

    def assert_refused(self, answer, message):
        self.assertEqual(answer[0], 400, answer)
        self.assertIn(message, answer[1])


if __name__ == "__main__":
    unittest.main()
