"""What needs no company: words, levels, masks, exit codes, Mage's own interfaces."""

import contextlib
import io
import os
import pathlib
import re
import sys
import tempfile
import types
import unittest
from unittest import mock

import qbo_backfill_mage
from qbo_backfill_mage import BackfillError, block, errors, process, telling

TOP = pathlib.Path(__file__).resolve().parents[1]


def window(**more):
    return {
        "ev": "window",
        "pipeline": "qb_invoices_backfill",
        "start": "2026-01-20T00:00:00Z",
        "end": "2026-01-21T00:00:00Z",
        "status": "completed",
        "read": 271,
        "inserted": 271,
        "updated": 0,
        "unchanged": 0,
        "quarantined": 0,
        **more,
    }


class Words(unittest.TestCase):
    def test_every_event_has_its_level(self):
        for level, event in (
            ("info", window()),
            ("warning", window(read=0, inserted=0)),
            ("error", window(status="failed", message="QuickBooks counts 3, 2 were read")),
            ("error", window(quarantined=1)),
            ("info", {"ev": "page", "pipeline": "qb_items_backfill", "page": 1, "rows": 1000}),
            ("warning", {"ev": "wait", "reason": "limit", "seconds": 3.0}),
            ("warning", {"ev": "wait", "reason": "lease", "seconds": 90, "pipeline": "qb_items_backfill", "holder": "process 7"}),
            ("warning", {"ev": "retry", "entity": "Item", "attempt": 1, "reason": "timeout"}),
            ("warning", {"ev": "finding", "kind": "count_differs", "pipeline": "qb_items_backfill", "day": None, "detail": "x"}),
            ("error", {"ev": "breaker", "state": "open"}),
            ("info", {"ev": "breaker", "state": "closed"}),
            ("debug", {"ev": "split", "pipeline": "qb_items_backfill", "at": "2026-01-01T00:00:00Z"}),
            ("info", {"ev": "settling", "windows": 3, "seconds": 290}),
            ("info", {"ev": "run_finished", "exit_code": 0, "totals": {"inserted": 3}}),
            ("error", {"ev": "run_finished", "exit_code": 3, "totals": {}}),
            ("info", {"ev": "something that a later version says"}),
            ("info", {"ev": "wait", "seconds": "a while"}),
        ):
            self.assertEqual(telling.event(event)[0], level, event)

    def test_the_numbers_come_before_the_place_where_mage_cuts(self):
        _, message = telling.event(window(message="a reason that may be long"))
        self.assertTrue(message.startswith("invoices 2026-01-20 completed read=271 ins=271 upd=0 same=0"), message)
        _, message = telling.event(window(end="2026-02-01T00:00:00Z"))
        self.assertTrue(message.startswith("invoices 2026-01-20..2026-02-01 completed read=271"), message)

    def test_all_fields_go_along_under_names_of_their_own(self):
        given = telling.fields(window(level="not mage's", message="nor this"))
        self.assertTrue(all(name.startswith("qbo_") for name in given))
        self.assertEqual((given["qbo_read"], given["qbo_start"]), (271, "2026-01-20T00:00:00Z"))

    def test_lines_of_stderr_have_real_levels(self):
        self.assertEqual(telling.spoken("error: no. Next: this")[0], "error")
        self.assertEqual(telling.spoken("warning: the consent ends soon")[0], "warning")
        self.assertEqual(telling.spoken("run 1: qb_items_backfill")[0], "info")
        self.assertEqual(telling.logged({"level": "WARN", "message": "left out"}), ("warning", "left out"))
        self.assertEqual(telling.logged({"level": "TRACE"})[0], "debug")


class Masks(unittest.TestCase):
    def test_a_secret_is_masked_wherever_it_stands_and_however_it_is_written(self):
        secret = 'p"ss/w+rd é'
        mask = telling.Masker([secret, "token", "token-and-more", "", " "])
        for text in (secret, 'p\\"ss/w+rd é', "p\\\"ss/w+rd \\u00e9", "p%22ss%2Fw%2Brd%20%C3%A9"):
            self.assertEqual(mask(f"<{text}>"), "<***>")
        self.assertEqual(mask({"a": ["token-and-more", 1, None], "token": "x token"}), {"a": ["***", 1, None], "***": "x ***"})
        self.assertEqual(mask("nothing of it"), "nothing of it")

    def test_what_the_child_says_is_masked_before_anybody_hears_it(self):
        told = []
        script = (
            "#!/bin/sh\nread secrets\necho \"$secrets\" >&2\n"
            "echo '{\"ev\":\"finding\",\"detail\":\"has s3cret-value in it\"}'\n"
            "echo 'no json: s3cret-value'\necho 'error: s3cret-value. Next: nothing' >&2\nexit 4\n"
        )
        with program(script) as binary, self.assertRaises(errors.ConsentNeeded) as failed:
            process.run(binary, ["run"], {"PG_PASSWORD": "s3cret-value"}, lambda *line: told.append(line))
        self.assertNotIn("s3cret-value", repr(told) + str(failed.exception))
        self.assertEqual(failed.exception.line, "error: ***. Next: nothing")
        self.assertEqual(len(told), 4)


class Processes(unittest.TestCase):
    def test_every_documented_exit_code_has_an_error_of_its_own(self):
        documented = (TOP.parent / "docs" / "command-line.md").read_text()
        codes = [int(code) for line in documented.splitlines() if (found := re.match(r"\| ([\d, ]+) \| ", line)) for code in found[1].split(",")]
        self.assertIn(4, codes)
        for code in (code for code in codes if code):
            self.assertIsNot(type(errors.of(code, "x")), BackfillError, code)
            self.assertIn("x", str(errors.of(code, "x")))
        for name in qbo_backfill_mage.__all__:
            self.assertTrue(hasattr(qbo_backfill_mage, name))

    def test_a_child_that_dies_of_a_signal_is_an_error(self):
        with program("#!/bin/sh\nread line\nkill -9 $$\n") as binary, self.assertRaises(BackfillError) as failed:
            process.run(binary, ["run"], {}, lambda *_: None)
        self.assertEqual(failed.exception.exit_code, 137)

    def test_a_child_that_never_reads_is_an_error_with_its_line(self):
        with program("#!/bin/sh\nexec <&-\necho 'error: wrong word' >&2\nexit 2\n") as binary:
            with self.assertRaises(errors.UsageError) as failed:
                process.run(binary, ["run"], {"PG_PASSWORD": "x" * 100_000}, lambda *_: None)
        self.assertEqual(failed.exception.line, "error: wrong word")


class Mage(unittest.TestCase):
    def call(self, variables, secrets=(), **modules):
        seen = {}

        def run(binary, arguments, secrets, tell, environment=None):
            seen.update(binary=binary, arguments=list(arguments), secrets=dict(secrets), tell=tell)
            return process.Result(windows=[telling.window_columns(window(), process.COLUMNS)], finished={})

        secrets_module = types.ModuleType("secrets")
        secrets_module.get_secret_value = lambda name, **_: dict(secrets).get(name)
        names = {"mage_ai": None, "mage_ai.data_preparation": None, "mage_ai.data_preparation.shared": None}
        names = {name: types.ModuleType(name) for name in names}
        names["mage_ai.data_preparation.shared.secrets"] = secrets_module
        with mock.patch.dict(sys.modules, {**names, **modules}), mock.patch.object(block.process, "run", run):
            seen["result"] = block.backfill({"pipeline_uuid": "qb_items_backfill", "qbo_binary": "/bin/sh", **variables})
        return seen

    RANGE = {"fecha_inicio": "2026-01-01", "fecha_fin": "2026-02-01"}

    def test_secrets_are_mages_and_the_pipeline_is_the_blocks_own(self):
        seen = self.call(self.RANGE, {"QBO_CLIENT_ID": "a", "PG_HOST": "b", "OTHER": "c"}, pandas=None)
        self.assertEqual(seen["secrets"], {"QBO_CLIENT_ID": "a", "PG_HOST": "b"})
        self.assertEqual(seen["arguments"], ["run", "qb_items_backfill", "--from", "2026-01-01", "--to", "2026-02-01"])
        self.assertEqual(seen["result"][0]["read"], 271)

    def test_the_result_is_a_data_frame_where_there_is_pandas(self):
        pandas = types.ModuleType("pandas")
        pandas.DataFrame = lambda rows, columns: ("frame", rows, columns)
        frame, rows, columns = self.call(self.RANGE, pandas=pandas)["result"]
        self.assertEqual((frame, rows[0]["status"], columns), ("frame", "completed", list(process.COLUMNS)))

    def test_variables_and_the_environment_of_mage_become_flags(self):
        variables = {**self.RANGE, "qbo_chunk": "month", "qbo_force": "true", "qbo_no_count": False, "qbo_schema": "acme"}
        places = {"QBO_BACKFILL_VAULT": "/vault/v", "QBO_BACKFILL_SCHEMA": "other"}
        with mock.patch.dict(os.environ, places):
            arguments = self.call({**variables, "qbo_pipelines": "Invoice, Item"}, pandas=None)["arguments"]
        self.assertEqual(arguments[:3], ["run", "Invoice", "Item"])
        self.assertEqual(arguments[7:], ["--schema=acme", "--vault=/vault/v", "--chunk=month", "--force"])

    def test_without_a_logger_lines_are_printed_one_by_one(self):
        tell = self.call(self.RANGE, pandas=None)["tell"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            tell("warning", "invoices 2026-01-20", {"qbo_read": 0})
        self.assertEqual(printed.getvalue(), "WARNING invoices 2026-01-20\n")

    def test_a_binary_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(FileNotFoundError, "/no/such/binary"):
            self.call({**self.RANGE, "qbo_binary": "/no/such/binary"})


class Templates(unittest.TestCase):
    def test_the_three_pipelines_are_one_block_in_one_process_with_a_trigger_that_is_off(self):
        for plural in ("invoices", "customers", "items"):
            folder = TOP / "project" / "pipelines" / f"qb_{plural}_backfill"
            pipeline, trigger = ((folder / name).read_text() for name in ("metadata.yaml", "triggers.yaml"))
            for line in (f"uuid: qb_{plural}_backfill", "run_pipeline_in_one_process: true", "retry_config:\n  retries: 0"):
                self.assertIn(f"\n{line}\n", pipeline)
            self.assertEqual(pipeline.count("- uuid: "), 1)
            for line in ("  schedule_interval: '@once'", "  status: inactive", f"  pipeline_uuid: qb_{plural}_backfill"):
                self.assertIn(f"\n{line}\n", trigger)
            for name in ("fecha_inicio", "fecha_fin"):
                self.assertIn(f"{name}: '", pipeline)
                self.assertIn(f"{name}: '", trigger)

    def test_the_block_is_python_and_returns_no_record(self):
        text = (TOP / "project" / "custom" / "qbo_backfill.py").read_text()
        seen = {}
        globals_of_mage = {"custom": lambda function: seen.setdefault("block", function), "test": lambda function: function}
        with mock.patch.object(qbo_backfill_mage, "backfill", lambda variables: variables):
            exec(compile(text, "qbo_backfill.py", "exec"), globals_of_mage)
        self.assertEqual(seen["block"](logger=1), {"logger": 1})


@contextlib.contextmanager
def program(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "program"
        path.write_text(text)
        path.chmod(0o700)
        yield str(path)


if __name__ == "__main__":
    unittest.main()
