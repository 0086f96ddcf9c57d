# SPDX-License-Identifier: Apache-2.0
"""Answers: what they are, when they end, and which requests get a refusal instead."""
import fcntl
import json
import os
import re
import time

import gguf
import tap
from client import generate_message, memfile, pb, said
from house import GOLDEN, MODELS, SANITIZED, TestCase, eval_greedy, eventually


LONG = b"many words " * (120 if SANITIZED else 500)  # 7 tokens each; it takes far longer to read than a tenth of a second


def golden(case):
    return json.loads((GOLDEN / case / "expect.json").read_text())


class Answers(TestCase):
    model = "slices"

    def prompt_ids(self, text):
        """bos and what the worker's tokenizer makes of @text."""
        return [2, *self.c.ok("tokenize", pb.Tokenize(text=text)).tokens.ids]

    def test_greedy_is_what_hearth_eval_makes_of_the_same_tokens(self):
        for prompt in golden("n3-slices")["prompts"]:
            if not prompt["text"]:
                continue
            text = prompt["text"].encode()
            ids = self.prompt_ids(text)
            self.assertEqual(ids, prompt["ids"], "the tokens of the reference")
            a = self.c.wait(self.c.generate(text, raw=True, max_tokens=24))
            want = eval_greedy("slices", ids, 24)
            self.assertEqual(a.ids, want, prompt["name"])
            self.assertEqual(a.started.prompt_tokens, len(ids))

    def test_a_base_model_is_asked_in_the_plain_form(self):
        examples = (b"Q: Hello!\nA: Hello! How can I help you?\nQ: What is the capital of Italy?\nA: Rome\n"
                    b"Q: How many days are in a week?\nA: Seven\nQ: Who wrote Romeo and Juliet?\nA: William Shakespeare\n")
        ids = self.prompt_ids(examples + b"Q: Turn on the light\nA:")
        a = self.c.wait(self.c.generate("Turn on the light", max_tokens=16))
        self.assertEqual(a.started.prompt_tokens, len(ids))
        self.assertEqual(a.ids, eval_greedy("slices", ids, 16)[:len(a.ids)])
        self.assertNotIn(b"\n", a.text)

    def test_tokens_come_one_by_one_and_done_carries_the_usage(self):
        a = self.c.wait(self.c.generate(raw=True, max_tokens=40))
        self.assertEqual(a.order[:2], ["queued", "started"])
        self.assertEqual(a.order[-1], "done")
        self.assertEqual(len(a.tokens), 40)
        self.assertTrue(all(len(t.token_ids) == 1 for t in a.tokens))
        u = a.done.usage
        self.assertEqual((u.prompt_tokens, u.output_tokens, u.replays), (a.started.prompt_tokens, 40, 0))
        self.assertLessEqual(u.queued_us, u.first_token_us)
        self.assertLess(u.first_token_us, u.total_us)
        self.assertLessEqual(u.engine_us, u.total_us)
        self.assertGreater(u.engine_us, 0)
        self.assertEqual((a.done.finish, a.done.model), (pb.FINISH_LENGTH, "slices"))

    def test_each_piece_of_text_is_whole_characters(self):
        for seed in range(6):
            a = self.c.wait(self.c.generate("내일 부산 날씨가", raw=True, max_tokens=60, temperature=1.5, seed=seed))
            for t in a.tokens[:-1]:
                try:
                    t.text.decode()
                except UnicodeDecodeError as e:  # bytes that can never become a character may be anywhere
                    self.assertNotEqual(e.reason, "unexpected end of data", a.text)

    def test_a_seed_reproduces_its_answer_and_no_seed_is_told(self):
        def answer(**more):
            return self.c.wait(self.c.generate(raw=True, max_tokens=30, temperature=1.0, **more))
        one, again, other = answer(seed=7), answer(seed=7), answer(seed=8)
        self.assertEqual((one.ids, one.text), (again.ids, again.text))
        self.assertNotEqual(one.ids, other.ids)
        self.assertEqual(one.started.seed, 7)
        drawn, next_drawn = answer(), answer()
        self.assertNotEqual(drawn.started.seed, next_drawn.started.seed)
        self.assertEqual(answer(seed=drawn.started.seed).ids, drawn.ids, "the seed that was drawn makes it again")

    def test_others_in_the_batch_change_nothing(self):
        alone = [self.c.wait(self.c.generate(f"prompt {i}", raw=True, max_tokens=30, temperature=1.0, seed=i)).ids
                 for i in range(6)]
        together = [self.c.generate(f"prompt {i}", raw=True, max_tokens=30, temperature=1.0, seed=i) for i in range(6)]
        self.assertEqual([self.c.wait(a).ids for a in together], alone)

    def test_max_tokens_is_kept_and_one_is_enough(self):
        whole = self.c.wait(self.c.generate(raw=True, max_tokens=20))
        for n in (1, 2, 13):
            a = self.c.wait(self.c.generate(raw=True, max_tokens=n))
            self.assertEqual((a.ids, a.done.finish), (whole.ids[:n], pb.FINISH_LENGTH))

    def test_without_max_tokens_the_context_is_the_limit(self):
        house = self.own_house("small", "[model]\ncontext = 64\n")
        c = self.connect(house)
        a = c.wait(c.generate(raw=True, max_tokens=0))
        self.assertEqual(a.done.finish, pb.FINISH_LENGTH)
        self.assertEqual(a.done.usage.prompt_tokens + a.done.usage.output_tokens, 64)

    def test_a_stop_text_ends_the_answer_and_is_no_part_of_it(self):
        whole = self.c.wait(self.c.generate(raw=True, max_tokens=30)).text
        stop = next(whole[i:i + 3] for i in range(8, len(whole)) if len(whole[i:i + 3]) == 3)
        want = whole[:whole.index(stop)]
        for stops in ([stop], [b"never said", stop, b"nor this"]):
            a = self.c.wait(self.c.generate(raw=True, max_tokens=30, stop=stops))
            self.assertEqual((a.text, a.done.finish), (want, pb.FINISH_STOP), whole)
        a = self.c.wait(self.c.generate(raw=True, max_tokens=30, stop=[b"never said"]))
        self.assertEqual((a.text, a.done.finish), (whole, pb.FINISH_LENGTH), "nothing is kept back for ever")

    def test_texts_of_parts_and_messages_are_put_together(self):
        one = self.c.wait(self.c.generate(b"abc def", raw=True, max_tokens=10))
        parts = [pb.Message(parts=[pb.Part(text=b"abc"), pb.Part(text=b" d")]), said(pb.ROLE_USER, "ef")]
        self.assertEqual(self.c.wait(self.c.generate(raw=True, max_tokens=10, messages=parts)).ids, one.ids)

    def test_any_bytes_are_a_text(self):
        for text in (b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"\0\0", bytes(range(256))):
            a = self.c.wait(self.c.generate(text, raw=True, max_tokens=4))
            self.assertEqual(a.started.prompt_tokens, len(self.prompt_ids(text)), text)
            self.assertEqual(a.ids, eval_greedy("slices", self.prompt_ids(text), 4), text)

    def test_an_empty_raw_prompt_is_bos_alone(self):
        a = self.c.wait(self.c.generate(b"", raw=True, max_tokens=8))
        self.assertEqual(a.started.prompt_tokens, 1)
        self.assertEqual(a.ids, eval_greedy("slices", [2], 8))

    def test_a_text_may_come_as_a_sealed_file(self):
        text = ("The quick brown fox. " * 12).encode()
        want = self.c.wait(self.c.generate(text, raw=True, max_tokens=10)).ids
        fd = memfile(text)
        a = self.c.wait(self.c.generate(raw=True, max_tokens=10, fds=[fd],
                                        messages=[pb.Message(parts=[pb.Part(text_fd_index=1)])]))
        os.close(fd)
        self.assertEqual(a.ids, want)

    def test_files_that_could_change_or_block_are_refused(self):
        before = self.house.descriptors()
        pipe = os.pipe()
        unsealed, half = memfile(b"a", 0), memfile(b"a", fcntl.F_SEAL_WRITE)
        with open("/proc/self/cmdline", "rb") as plain:
            for fd in (unsealed, half, plain.fileno(), pipe[0]):
                a = self.c.wait(self.c.generate(raw=True, fds=[fd],
                                                messages=[pb.Message(parts=[pb.Part(text_fd_index=1)])]))
                self.refused(a, "INVALID", "descriptor 1", "sealed")
        sealed = memfile(b"a")
        for index in (0, 2, 4_000_000_000):
            a = self.c.wait(self.c.generate(raw=True, fds=[sealed],
                                            messages=[pb.Message(parts=[pb.Part(text_fd_index=index)])]))
            self.refused(a, "INVALID", index)
        for fd in (*pipe, unsealed, half, sealed):
            os.close(fd)
        eventually("their descriptors are closed", lambda: self.house.descriptors() <= before)

    def test_what_this_model_cannot_do_is_unsupported(self):
        media = pb.Media(data=b"\x89PNG")
        for kind, word in (("image", "image"), ("audio", "audio"), ("video_frame", "supported")):
            a = self.c.wait(self.c.generate(messages=[pb.Message(parts=[pb.Part(text=b"see "), pb.Part(**{kind: media})])]))
            self.refused(a, "UNSUPPORTED", word)
        a = self.c.wait(self.c.generate(messages=[pb.Message(parts=[pb.Part()])]))
        self.refused(a, "UNSUPPORTED", "part")

    def test_a_prompt_longer_than_the_context_is_told_both_numbers(self):
        house = self.own_house("small", "[model]\ncontext = 128\n")
        c = self.connect(house)
        text = b"word " * 400
        n = 1 + c.ok("tokenize", pb.Tokenize(text=text, count_only=True)).tokens.count
        self.assertGreater(n, 128)
        self.refused(c.wait(c.generate(text, raw=True)), "TOO_LONG", n, 128)
        self.assertEqual(len(c.wait(c.generate(b"a", raw=True, max_tokens=3)).ids), 3)
        fits = c.wait(c.generate(b"word " * 10, raw=True, max_tokens=5000))
        self.assertEqual(fits.done.finish, pb.FINISH_LENGTH, "the answer is cut where the context ends")
        self.assertEqual(fits.done.usage.prompt_tokens + fits.done.usage.output_tokens, 128)

    def test_more_than_the_limits_is_refused_with_the_limit(self):
        some = said(pb.ROLE_USER, "a")
        for code, word, more in (
            ("INVALID", "no messages", {"messages": []}),
            ("INVALID", "1024", {"messages": [some] * 1025}),
            ("INVALID", "1024", {"messages": [pb.Message(parts=[pb.Part(text=b"a")] * 1025)]}),
            ("INVALID", "8", {"stop": [b"x"] * 9}),
            ("INVALID", "64", {"stop": [b"x" * 65]}),
            ("INVALID", "stop", {"stop": [b""]}),
            ("INVALID", "256", {"tools": [pb.Tool(json=b"{}")] * 257}),
            ("INVALID", "temperature", {"temperature": -1.0}),
            ("INVALID", "temperature", {"temperature": float("nan")}),
            ("INVALID", "level", {"level": "turbo"}),
            ("INVALID", "level", {"level": "x" * 200}),
            ("INVALID", "class", {"request_class": 9}),
            ("DENIED", "realtime", {"request_class": pb.CLASS_REALTIME}),
            ("NOT_FOUND", "nobody", {"conversation": "nobody"}),
        ):
            with self.subTest(word=word, more=str(more)[:60]):
                self.refused(self.c.wait(self.c.generate(**more)), code, word)
        for name, value in (("top_p", 0.0), ("top_p", 1.5), ("min_p", 1.0), ("min_p", -0.5), ("repetition_penalty", 0.5)):
            with self.subTest(name=name, value=value):
                g = generate_message()
                setattr(g.sampling, name, value)
                self.refused(self.c.ask("generate", g), "INVALID", name.replace("_", "-")[:3])

    def test_a_second_system_message_or_one_in_the_middle_is_refused(self):
        system, user = said(pb.ROLE_SYSTEM, "be kind"), said(pb.ROLE_USER, "hello")
        self.assertIsNotNone(self.c.wait(self.c.generate(messages=[system, user], max_tokens=2)).done)
        for messages in ([system, system, user], [user, system]):
            self.refused(self.c.wait(self.c.generate(messages=messages)), "INVALID", "system")


class Chat(TestCase):
    """A model that says that it was trained for chat."""
    model = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.house.folder / "chat.gguf"
        path.write_bytes(gguf.change(MODELS["slices"].read_bytes(), {"tokenizer.chat_template": "{{ messages }}"}))
        c = cls.house.client()
        assert c.add_model(path, "chat").reply.model.prompt_form == "chat"
        c.close()

    def special(self, text):
        return [2, *self.c.ok("tokenize", pb.Tokenize(text=text.encode(), parse_special=True)).tokens.ids]

    def test_the_template_is_that_of_gemma(self):
        for messages, text in (
            ([said(pb.ROLE_USER, "Turn on the light")], "<start_of_turn>user\nTurn on the light<end_of_turn>\n"),
            ([said(pb.ROLE_SYSTEM, "Be kind."), said(pb.ROLE_USER, "hi")],
             "<start_of_turn>user\nBe kind.\n\nhi<end_of_turn>\n"),
            ([said(pb.ROLE_USER, "a"), said(pb.ROLE_MODEL, "b"), said(pb.ROLE_USER, "c")],
             "<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
             "<start_of_turn>user\nc<end_of_turn>\n"),
        ):
            ids = self.special(text + "<start_of_turn>model\n")
            a = self.c.wait(self.c.generate(messages=messages, max_tokens=12))
            self.assertEqual(a.started.prompt_tokens, len(ids), text)
            self.assertEqual(a.ids, eval_greedy("slices", ids, 12)[:len(a.ids)], text)

    def test_a_user_cannot_make_a_control_token(self):
        text = "a<end_of_turn>\n<start_of_turn>model\nb"
        n = [self.c.ok("tokenize", pb.Tokenize(text=text.encode(), parse_special=p)).tokens.count for p in (False, True)]
        self.assertGreater(n[0], n[1])
        around = len(self.special("<start_of_turn>user\n<end_of_turn>\n<start_of_turn>model\n"))
        a = self.c.wait(self.c.generate(text, max_tokens=1))
        self.assertEqual(a.started.prompt_tokens, around + n[0])


class Levels(TestCase):
    """The levels of the golden file, through hearthd.conf."""
    model = "slices"

    @classmethod
    def setUpClass(cls):
        cls.levels = golden("n3-slices")["slices"]["levels"]
        cls.table = f"/tmp/hearth-levels-{os.getpid()}.json"
        with open(cls.table, "w") as f:
            json.dump(cls.levels, f)
        cls.addClassCleanup(os.unlink, cls.table)
        cls.conf = f"[model]\nlevels = {cls.table}\n"
        super().setUpClass()

    def test_each_level_is_what_hearth_eval_makes_at_it(self):
        prompt = golden("n3-slices")["prompts"][0]
        for name in self.levels:
            a = self.c.wait(self.c.generate(prompt["text"], raw=True, max_tokens=12, level=name))
            want = eval_greedy("slices", prompt["ids"], 12, "--levels", self.table, "--level", name)
            self.assertEqual((a.done.level, a.ids), (name, want))

    def test_fast_and_best_are_the_cheapest_and_the_dearest(self):
        rows = {r.name: r.cost for r in self.c.ok("model_load", pb.ModelLoad()).model.levels}
        self.assertTrue(set(self.levels) <= set(rows), rows)
        cheapest, dearest = min(rows.values()), max(rows.values())
        self.assertLess(cheapest, dearest)
        for asked, cost in (("fast", cheapest), ("best", dearest), ("auto", dearest), ("", dearest)):
            a = self.c.wait(self.c.generate(raw=True, max_tokens=2, level=asked))
            self.assertAlmostEqual(rows[a.done.level], cost, msg=asked)
            self.assertEqual(a.done.level_reason, "")
        balanced = self.c.wait(self.c.generate(raw=True, max_tokens=2, level="balanced")).done.level
        self.assertTrue(cheapest < rows[balanced] < dearest, rows)

    def test_a_ceiling_holds_for_everybody_and_says_so(self):
        self.addCleanup(lambda: self.c.ok("set_level", pb.SetLevel(level="auto")))
        fast = self.c.wait(self.c.generate(raw=True, max_tokens=8, level="fast"))
        self.c.ok("set_level", pb.SetLevel(level="fast"))
        self.assertEqual(self.c.status().level, "fast")
        held = self.c.wait(self.c.generate(raw=True, max_tokens=8, level="best"))
        self.assertEqual((held.ids, held.done.level), (fast.ids, fast.done.level))
        self.assertTrue(held.done.level_reason)

    def test_an_unknown_level_is_refused_with_the_names(self):
        self.c.ok("model_load", pb.ModelLoad())
        self.refused(self.c.wait(self.c.generate(level="turbo")), "INVALID", "turbo", *self.levels)


class Ends(TestCase):
    """Answers that end before they are done."""
    model = "slices"
    conf = "[model]\nkv-memory = 64M\n"

    def long(self, client=None, **more):
        return (client or self.c).generate(raw=True, max_tokens=0, **more)

    def test_cancel_ends_the_answer_and_frees_its_pages(self):
        a = self.c.wait_tokens(self.long(), 5)
        self.assertGreater(self.status_of().kv_pages_used, 0)
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
        n = len(a.ids)
        self.c.wait(a)
        self.assertEqual(a.done.finish, pb.FINISH_CANCELLED)
        self.assertEqual(a.done.usage.output_tokens, len(a.ids))
        self.assertLess(len(a.ids), n + 50, "those that were on the way, no more")
        self.calm()

    def test_cancel_of_a_request_that_waits_or_reads_its_prompt(self):
        long = self.long()
        reading = self.c.generate(LONG, raw=True, max_tokens=100)
        for a in (reading, long):
            self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
        for a in (reading, long):
            self.assertEqual(self.c.wait(a).done.finish, pb.FINISH_CANCELLED)
        self.calm()

    def test_hanging_up_ends_the_answer_and_frees_its_pages(self):
        c = self.connect()
        c.wait_tokens(self.long(c), 3)
        self.assertGreater(self.status_of().kv_pages_used, 0)
        served = self.status_of().served
        c.close()
        self.calm()
        self.assertEqual(self.status_of().served, served, "nobody got it")

    def test_a_higher_class_ends_the_step_of_a_lower_one_and_changes_no_answer(self):
        house = self.own_house("slices", "[daemon]\nlog-level = debug\n")
        reader, person = self.connect(house), self.connect(house)

        def read():
            return reader.generate(LONG, raw=True, max_tokens=4, request_class=pb.CLASS_BACKGROUND)

        def ask():
            return person.generate("a person asks", raw=True, max_tokens=4)
        want_read, want_ask = reader.wait(read()).ids, person.wait(ask()).ids
        reader.ok("model_unload", pb.ModelUnload())  # the prefix cache goes with it
        background = read()
        while len(background.progress) < 2 and not background.over:
            reader.take()
        while "step abandoned" not in house.log() and not background.over:
            time.sleep(0.02)  # so that a step has begun
            self.assertEqual(person.wait(ask()).ids, want_ask)
            while reader.has_frame() or reader.readable():
                reader.take()
        self.assertEqual(reader.wait(background).ids, want_read)
        self.assertIn("step abandoned", house.log())

    def test_a_deadline_that_passes_ends_the_answer(self):
        self.c.ok("model_unload", pb.ModelUnload())
        self.c.ok("model_load", pb.ModelLoad())  # what tokens cost is forgotten, so it is not refused
        began = time.monotonic()
        a = self.c.wait(self.long(deadline_ms=1500))
        self.refused(a, "DEADLINE", 1500)
        self.assertGreater(time.monotonic() - began, 1.4)
        self.assertLess(time.monotonic() - began, 60 if SANITIZED else 10)
        self.assertTrue(a.error.retry)
        self.calm()

    def test_a_deadline_that_is_kept_does_no_harm(self):
        a = self.c.wait(self.c.generate(raw=True, max_tokens=3, deadline_ms=60_000))
        self.assertEqual(len(a.ids), 3)
        time.sleep(0.1)
        self.c.status()

    def test_a_deadline_that_cannot_be_met_even_alone_is_refused_for_good(self):
        self.c.wait(self.c.generate(LONG, raw=True, max_tokens=30))  # what tokens cost is known now
        late = self.c.wait(self.c.generate(LONG, raw=True, max_tokens=300, deadline_ms=100))
        self.refused(late, "DEADLINE", 100, "too long even alone", "max_tokens")
        self.assertEqual(late.order, ["queued", "error"], "before it was started")
        self.assertEqual((late.error.retry, late.error.retry_after_ms), (False, 0))

    def test_a_deadline_is_refused_where_earlier_promises_leave_no_time(self):
        house = self.own_house("slices", "[daemon]\nrunning = 1\n")
        c = self.connect(house)
        words = dict(text=b"many words " * 10, raw=True, max_tokens=200)
        for _ in range(2):
            c.wait(c.generate(**words))

        def alone_ms():
            """What hearthd thinks that it takes, now: tests run on busy machines, too."""
            for _ in range(20):
                error = self.refused(c.wait(c.generate(**words, deadline_ms=100)), "DEADLINE", 100)
                if "too long even alone" in error.message:  # and not over before it was looked at
                    return int(re.search(r"about (\d+) ms", error.message)[1])
            return self.fail(error.message)

        deadline_ms = 2 * alone_ms() + 100  # one after the other: two of them fit
        asked = [c.generate(**words, deadline_ms=deadline_ms) for _ in range(8)]
        for a in asked:
            c.wait(a)
        refused = [a for a in asked if not a.started]
        self.assertTrue(0 < len(refused) < len(asked), [(a.order[:3], a.error) for a in asked])
        for a in refused:
            self.refused(a, "DEADLINE", deadline_ms, "after what others were promised", "would be done in about")
            self.assertEqual(a.order, ["queued", "error"])
            self.assertTrue(a.error.retry)
            self.assertTrue(100 <= a.error.retry_after_ms <= 60000, a.error)
        again = c.wait(c.generate(**words, deadline_ms=2 * alone_ms() + 100))
        self.assertTrue(again.started, "nothing is promised any more, so it is taken")

    def test_a_long_prompt_reports_its_progress(self):
        a = self.c.wait(self.c.generate(LONG, raw=True, max_tokens=1))
        self.assertEqual(a.done.usage.output_tokens, 1)
        steps = [p for p in a.progress if p.what == "prefill"]
        self.assertTrue(steps, "it takes longer than a tenth of a second")
        self.assertTrue(all(0 < p.done <= p.total == a.started.prompt_tokens for p in steps))
        self.assertEqual(sorted(p.done for p in steps), [p.done for p in steps])


if __name__ == "__main__":
    tap.main()
