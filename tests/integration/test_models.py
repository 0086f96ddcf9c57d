# SPDX-License-Identifier: Apache-2.0
"""The model store: what is added, what is refused, and that no accident leaves half of anything."""
import os
import pathlib
import random
import subprocess
import tempfile
import time

import gguf
import tap
from client import pb
from house import MODELS, House, TestCase, eval_greedy, eventually, note, sha256


def files_of(house):
    """All that lies in the store, hidden or not. A folder may go away meanwhile."""
    return sorted(os.path.relpath(os.path.join(folder, name), house.models)
                  for folder, folders, files in os.walk(house.models) for name in folders + files)


class Adding(TestCase):
    model = None

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, data, name="m.gguf"):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def listed(self):
        return self.c.ok("model_list", pb.ModelList()).models.models

    def test_a_model_is_verified_copied_and_activated_with_progress(self):
        a = self.c.add_model(MODELS["slices"], "one")
        m = a.reply.model
        digest = sha256(MODELS["slices"])
        self.assertEqual((m.name, m.sha256, m.version), ("one", digest, digest[:16]))
        self.assertEqual((m.size_bytes, m.architecture, m.layers), (MODELS["slices"].stat().st_size, "gemma3n", 35))
        self.assertTrue(m.active and m.loaded and m.levels)
        self.assertTrue(a.progress, "11 MB are copied in more than one piece")
        self.assertTrue(all(p.done <= p.total and p.what for p in a.progress), a.progress)
        copy = self.house.models / "one" / m.version / "model.gguf"
        self.assertEqual(sha256(copy), digest)
        self.assertEqual(copy.stat().st_mode & 0o222, 0, "nobody writes it")
        again = self.c.add_model(MODELS["slices"], "one")
        self.assertEqual(again.reply.model.version, m.version, "the same file again is no mistake")
        self.assertEqual(len([x for x in self.listed() if x.name == "one"]), 1)

    def test_two_versions_are_kept_and_activate_goes_back(self):
        old = self.c.add_model(MODELS["small"], "two").reply.model.version
        new = self.c.add_model(MODELS["small5"], "two").reply.model.version
        self.assertEqual({x.version for x in self.listed() if x.name == "two"}, {old, new})
        ids = [2, *self.c.ok("tokenize", pb.Tokenize(text=b"switch")).tokens.ids]
        for version, model in ((old, "small"), (new, "small5"), ("", "small5"), (old, "small")):
            m = self.c.ok("model_activate", pb.ModelActivate(name="two", version=version)).model
            self.assertEqual((m.version, m.active, m.loaded), (version or new, True, True))
            a = self.c.wait(self.c.generate("switch", raw=True, max_tokens=12))
            self.assertEqual((a.ids, a.done.model), (eval_greedy(model, ids, 12), "two"))
        self.assertEqual([x.version for x in self.listed() if x.active], [old])

    def test_a_running_answer_is_finished_before_the_switch(self):
        self.c.add_model(MODELS["small"], "before")
        want = self.c.wait(self.c.generate("hello", raw=True, max_tokens=300)).ids
        running = self.c.wait_tokens(self.c.generate("hello", raw=True, max_tokens=300), 3)
        other = self.connect()
        switch = other.add_model(MODELS["basic"], "after")
        self.assertTrue(switch.reply.model.active)
        self.assertEqual(self.c.wait(running).ids, want)
        self.assertEqual(running.done.model, "before")
        self.assertEqual(self.c.wait(self.c.generate(raw=True, max_tokens=2)).done.model, "after")

    def test_stored_and_not_activated(self):
        active = [m.name for m in self.listed() if m.active]
        m = self.c.add_model(MODELS["small"], "shelf", activate=False).reply.model
        self.assertFalse(m.active or m.loaded)
        self.assertEqual([x.name for x in self.listed() if x.active], active)

    def test_what_is_no_good_model_is_refused_and_nothing_stays(self):
        small = MODELS["small"].read_bytes()
        self.c.add_model(MODELS["basic"], "good")
        before = files_of(self.house)
        for code, words, data in (
            ("BAD_MODEL", ["GGUF"], b"PK\3\4" + bytes(1000)),
            ("BAD_MODEL", [], b""),
            ("BAD_MODEL", [], small[:10]),
            ("BAD_MODEL", [], small[:3000]),
            ("BAD_MODEL", [], small[:-1]),
            ("BAD_MODEL", ["gemma9n"], gguf.change(small, {"general.architecture": "gemma9n"})),
            ("BAD_MODEL", ["gemma3n.block_count"], gguf.change(small, {"gemma3n.block_count": None})),
            ("BAD_MODEL", ["gemma3n.block_count"], gguf.change(small, {"gemma3n.block_count": (4, 0xffffffff)})),
            ("BAD_MODEL", ["gemma3n.block_count"], gguf.change(small, {"gemma3n.block_count": "many"})),
        ):
            with self.subTest(size=len(data), words=words):
                a = self.c.add_model(self.file(data), "bad")
                self.refused(a, code, *words)
                eventually("nothing is left", lambda: files_of(self.house) == before)
        self.assertEqual([m.name for m in self.listed() if m.active], ["good"])
        self.assertEqual(len(self.c.wait(self.c.generate(raw=True, max_tokens=3)).ids), 3)

    def test_a_wrong_sha256_is_refused_and_a_right_one_taken(self):
        right = sha256(MODELS["small"])
        self.refused(self.c.add_model(MODELS["small"], "hash", sha256="0" * 64), "BAD_MODEL", right[:16])
        for text in ("xyz", right[:-1], right + "0"):
            self.refused(self.c.add_model(MODELS["small"], "hash", sha256=text), "INVALID", "64 hex")
        self.assertEqual(self.c.add_model(MODELS["small"], "hash", sha256=right.upper()).reply.model.sha256, right)

    def test_what_is_no_regular_file_is_refused(self):
        r, w = os.pipe()
        folder = os.open(self.folder, os.O_RDONLY)
        only_written = os.open(self.folder / "w", os.O_WRONLY | os.O_CREAT)
        null = os.open("/dev/null", os.O_RDONLY)
        for fd in (r, folder, only_written, null):
            a = self.c.ask("model_add", pb.ModelAdd(name="x", fd_index=1), [fd])
            self.refused(a, "INVALID", "regular file")
            os.close(fd)
        os.close(w)
        self.refused(self.c.ask("model_add", pb.ModelAdd(name="x", fd_index=1)), "INVALID", "descriptor")
        for name in ("", ".hidden", "a/b", "..", "x" * 65, "active"):
            self.refused(self.c.add_model(MODELS["small"], name), "INVALID")

    def test_a_model_that_does_not_work_leaves_the_old_one_active(self):
        """The file is good when it is added, and damaged on disk before it is activated."""
        self.c.add_model(MODELS["basic"], "works")
        want = self.c.wait(self.c.generate(raw=True, max_tokens=5)).ids
        m = self.c.add_model(MODELS["small"], "breaks", activate=False).reply.model
        path = self.house.models / "breaks" / m.version / "model.gguf"
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[:4] = b"FUUG"
        path.write_bytes(data)
        a = self.c.ask("model_activate", pb.ModelActivate(name="breaks"))
        self.refused(a, "BAD_MODEL")
        self.assertEqual([x.name for x in self.listed() if x.active], ["works"])
        a = self.c.wait(self.c.generate(raw=True, max_tokens=5))
        self.assertEqual((a.ids, a.done.model), (want, "works"))

    def test_remove_but_not_what_is_active(self):
        old = self.c.add_model(MODELS["small"], "three").reply.model.version
        new = self.c.add_model(MODELS["small5"], "three").reply.model.version
        self.refused(self.c.ask("model_remove", pb.ModelRemove(name="three", version=new)), "BUSY", "activate another")
        self.c.ok("model_remove", pb.ModelRemove(name="three"))
        self.assertEqual([x.version for x in self.listed() if x.name == "three"], [new])
        self.refused(self.c.ask("model_remove", pb.ModelRemove(name="three", version=old)), "NOT_FOUND")
        self.refused(self.c.ask("model_remove", pb.ModelRemove(name="three")), "BUSY", "active")
        self.assertFalse((self.house.models / "three" / old).exists())

    def test_one_at_a_time_and_cancel_leaves_nothing(self):
        before = files_of(self.house)
        other = self.connect()
        big = self.folder / "big"  # a good beginning, then zeros for long enough
        big.write_bytes(MODELS["slices"].read_bytes())
        os.truncate(big, 400 << 20)
        with open(big, "rb") as f:
            a = self.c.request("model_add", pb.ModelAdd(name="big", fd_index=1, sha256="1" * 64), [f.fileno()])
            while not a.order:
                self.c.take()
            self.assertIsNone(a.error)
            self.refused(other.add_model(MODELS["small"], "second"), "BUSY", "big")
            self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
            self.assertEqual(self.c.wait(a).done.finish, pb.FINISH_CANCELLED)
        eventually("nothing is left", lambda: files_of(self.house) == before)

    def test_hanging_up_in_mid_add_leaves_nothing(self):
        before = files_of(self.house)
        c = self.connect()
        big = self.folder / "big"
        big.write_bytes(MODELS["slices"].read_bytes())
        os.truncate(big, 400 << 20)
        with open(big, "rb") as f:
            a = c.request("model_add", pb.ModelAdd(name="big", fd_index=1, sha256="1" * 64), [f.fileno()])
            while not a.order:
                c.take()
        c.close()
        eventually("nothing is left", lambda: files_of(self.house) == before)


class Accidents(TestCase):
    model = None

    def test_kill_of_hearthd_in_mid_add_leaves_the_old_state_or_the_new_one(self):
        house = self.own_house("basic")
        before = files_of(house)
        want, in_the_middle = None, 0
        with tempfile.NamedTemporaryFile() as big:
            big.write(MODELS["slices"].read_bytes())
            big.flush()
            os.truncate(big.fileno(), 200 << 20)
            chance, longest_s = random.Random(5), 0.2
            for _ in range(8):
                c = self.connect(house)
                if want is None:
                    want = c.wait(c.generate(raw=True, max_tokens=5)).ids
                c.request("model_add", pb.ModelAdd(name="late", fd_index=1, activate=True), [big.fileno()])
                time.sleep(chance.random() * longest_s)
                house.kill()
                house.start()
                c = self.connect(house)
                models = [(m.name, m.active) for m in c.ok("model_list", pb.ModelList()).models.models]
                if models == [("basic", True)]:
                    in_the_middle += 1
                else:  # a fast machine was ready
                    longest_s /= 2
                    self.assertEqual(sorted(name for name, _ in models), ["basic", "late"])
                    self.assertEqual(sum(active for _, active in models), 1)
                    c.ok("model_activate", pb.ModelActivate(name="basic"))
                    c.ok("model_remove", pb.ModelRemove(name="late"))
                self.assertEqual(files_of(house), before)
                self.assertEqual(c.wait(c.generate(raw=True, max_tokens=5)).ids, want)
        self.assertGreater(in_the_middle, 0)

    def test_kill_of_hearthd_while_it_activates_leaves_one_of_both(self):
        house = self.own_house("basic")
        self.connect(house).add_model(MODELS["small"], "small", activate=False)
        chance, seen = random.Random(6), set()
        for i in range(12):
            c = self.connect(house)
            active = next(m.name for m in c.ok("model_list", pb.ModelList()).models.models if m.active)
            c.request("model_activate", pb.ModelActivate(name="small" if active == "basic" else "basic"))
            time.sleep(chance.random() * 0.06)
            house.kill()
            house.start()
            c = self.connect(house)
            now = [m.name for m in c.ok("model_list", pb.ModelList()).models.models if m.active]
            self.assertEqual(len(now), 1)
            seen.add(now[0] == active)
            self.assertEqual(c.wait(c.generate(raw=True, max_tokens=2)).done.model, now[0])
        note("stayed" * (True in seen) + " switched" * (False in seen))

    def test_a_full_disk_is_told_and_leaves_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        with tempfile.TemporaryDirectory(prefix="hearth-") as folder:
            store = pathlib.Path(folder, "models")
            store.mkdir()
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", str(store)], capture_output=True,
                                     check=False)
            if mounted.returncode:
                self.skipTest("this system does not let us mount: " + mounted.stderr.decode().strip())
            try:
                house = House("basic", folder=folder)
                try:
                    before = files_of(house)
                    c = self.connect(house)
                    a = c.add_model(MODELS["slices"], "big")
                    self.refused(a, "STORAGE", "full", MODELS["slices"].stat().st_size)
                    eventually("nothing is left", lambda: files_of(house) == before)
                    self.assertEqual(len(c.wait(c.generate(raw=True, max_tokens=3)).ids), 3)
                    self.assertTrue(c.add_model(MODELS["small"], "fits").reply.model.active)
                finally:
                    house.close()
            finally:
                subprocess.run(["umount", "-l", str(store)], check=True)

    def test_a_model_whose_file_is_gone_is_told_and_another_can_be_activated(self):
        house = self.own_house("basic")
        c = self.connect(house)
        small = c.add_model(MODELS["small"], "small").reply.model
        c.ok("model_unload", pb.ModelUnload())
        (house.models / "small" / small.version / "model.gguf").unlink()
        self.refused(c.wait(c.generate(raw=True, max_tokens=2)), "STORAGE", "small")
        c.ok("model_activate", pb.ModelActivate(name="basic"))
        self.assertEqual(c.wait(c.generate(raw=True, max_tokens=2)).done.model, "basic")


if __name__ == "__main__":
    tap.main()
