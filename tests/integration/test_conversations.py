# SPDX-License-Identifier: Apache-2.0
"""Conversations: kept by hearthd, named, and their owner's alone."""
import os
import traceback

import gguf
import tap
from client import Client, pb, said
from house import MODELS, TestCase, eval_greedy

NOBODY = 65534


class Talking(TestCase):
    model = None
    conf = "[everybody]\nconversations = 3\nrequests = 20\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.house.folder / "chat.gguf"
        path.write_bytes(gguf.change(MODELS["slices"].read_bytes(), {"tokenizer.chat_template": "{{ messages }}"}))
        c = cls.house.client()
        assert c.add_model(path, "chat").reply
        c.close()

    def open(self, name, *messages, client=None):
        c = client or self.c
        c.ok("conversation_open", pb.ConversationOpen(name=name, messages=messages))
        self.addCleanup(self.shut, name)

    def shut(self, name):
        c = self.house.client()
        c.ask("conversation_close", pb.ConversationClose(name=name))
        c.close()

    def say(self, name, text, client=None, **more):
        c = client or self.c
        return c.wait(c.generate(text, conversation=name, **{"max_tokens": 12, **more}))

    def special(self, text):
        return list(self.c.ok("tokenize", pb.Tokenize(text=text.encode(), parse_special=True)).tokens.ids)

    def test_the_second_turn_sees_the_very_tokens_of_the_first(self):
        """As hearth-eval, which knows of no conversations, continues the tokens of both turns."""
        for word, n in (("alpha", 3), ("beta", 1), ("gamma", 7)):
            self.open(word, said(pb.ROLE_SYSTEM, "Be brief."))
            first = self.say(word, "hello " + word, max_tokens=n)
            ids = [2, *self.special(f"<start_of_turn>user\nBe brief.\n\nhello {word}<end_of_turn>\n<start_of_turn>model\n")]
            self.assertEqual((first.started.prompt_tokens, first.ids), (len(ids), eval_greedy("slices", ids, n)))
            second = self.say(word, "and then?")
            ids += first.ids + self.special("<end_of_turn>\n<start_of_turn>user\nand then?<end_of_turn>\n<start_of_turn>model\n")
            want = eval_greedy("slices", ids, 12)
            self.assertEqual((second.started.prompt_tokens, second.ids), (len(ids), want[:len(second.ids)]))
            if len(second.ids) < 12:
                self.assertEqual(second.done.finish, pb.FINISH_STOP)
            self.c.ok("conversation_close", pb.ConversationClose(name=word))

    def test_turns_said_explicitly_make_the_same_tokens(self):
        compared = 0
        for word in ("alpha", "beta", "gamma", "delta", "epsilon"):
            for n in (1, 2, 3):
                name = f"{word}{n}"
                self.open(name)
                first = self.say(name, word, max_tokens=n)
                ids = list(self.c.ok("tokenize", pb.Tokenize(text=first.text)).tokens.ids)
                if ids == first.ids and first.text == first.text.strip():  # read back, it is what was made
                    kept = self.say(name, "go on")
                    told = self.c.wait(self.c.generate(max_tokens=12, messages=[
                        said(pb.ROLE_USER, word), said(pb.ROLE_MODEL, first.text), said(pb.ROLE_USER, "go on")]))
                    self.assertEqual((kept.ids, kept.started.prompt_tokens), (told.ids, told.started.prompt_tokens))
                    compared += 1
                self.c.ok("conversation_close", pb.ConversationClose(name=name))
        self.assertGreater(compared, 0)

    def test_it_is_the_users_not_the_connections(self):
        self.open("mine")
        self.say("mine", "hello")
        other = self.connect()
        self.refused(other.ask("conversation_open", pb.ConversationOpen(name="mine")), "EXISTS", "mine")
        second = self.say("mine", "again", client=other)
        self.assertIsNotNone(second.done)
        other.ok("conversation_close", pb.ConversationClose(name="mine"))
        self.refused(self.say("mine", "hello"), "NOT_FOUND", "mine")
        self.refused(self.c.ask("conversation_close", pb.ConversationClose(name="mine")), "NOT_FOUND", "mine")

    def test_one_answer_at_a_time(self):
        self.open("busy")
        running = self.c.wait_tokens(self.c.generate("hello", conversation="busy", max_tokens=0), 3)
        e = self.refused(self.say("busy", "and?"), "BUSY", "busy")
        self.assertTrue(e.retry)
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=running.id)))
        self.assertEqual(self.c.wait(running).done.finish, pb.FINISH_CANCELLED)
        after = self.say("busy", "and?")
        self.assertGreater(after.started.prompt_tokens, len(running.ids), "what was said until then is kept")

    def test_closed_in_mid_answer_ends_with_the_answer(self):
        self.open("closing")
        running = self.c.wait_tokens(self.c.generate("hello", conversation="closing", max_tokens=40), 3)
        self.c.ok("conversation_close", pb.ConversationClose(name="closing"))
        self.assertEqual(len(self.c.wait(running).ids), 40)
        self.refused(self.say("closing", "hello"), "NOT_FOUND")

    def test_limits(self):
        for i in range(3):
            self.open(f"number-{i}")
        a = self.c.ask("conversation_open", pb.ConversationOpen(name="number-3"))
        self.refused(a, "QUOTA", "3")
        self.c.ok("conversation_close", pb.ConversationClose(name="number-0"))
        self.open("number-3")
        for name in ("", "a b", "a/b", "x" * 65, "\u00e4"):
            self.refused(self.c.ask("conversation_open", pb.ConversationOpen(name=name)), "INVALID", "name")
        self.c.ok("conversation_close", pb.ConversationClose(name="number-1"))
        self.open("x" * 64)
        self.refused(self.c.wait(self.c.generate(conversation="number-3", raw=True)), "INVALID", "raw")

    def test_it_survives_crashes_of_the_worker_between_and_within_turns(self):
        def three(disturb):
            self.open("crashes")
            answers = [self.say("crashes", "one")]
            if disturb:
                self.house.kill_worker()
            answers.append(self.say("crashes", "two"))
            running = self.c.generate("three", conversation="crashes", max_tokens=30)
            if disturb:
                self.c.wait_tokens(running, 5)
                self.house.kill_worker()
            answers.append(self.c.wait(running))
            self.c.ok("conversation_close", pb.ConversationClose(name="crashes"))
            self.assertEqual([a.error for a in answers], [None] * 3)
            return [(a.ids, a.text, a.started.prompt_tokens) for a in answers]
        self.assertEqual(three(True), three(False))

    def test_it_survives_an_unloaded_model(self):
        self.open("asleep")
        self.say("asleep", "one")
        self.c.ok("model_unload", pb.ModelUnload())
        second = self.say("asleep", "two")
        self.c.ok("conversation_close", pb.ConversationClose(name="asleep"))
        self.open("awake")
        self.say("awake", "one")
        self.assertEqual(self.say("awake", "two").ids, second.ids)

    def test_another_user_can_neither_use_nor_see_nor_close_it(self):
        if os.geteuid() != 0:
            self.skipTest("becoming another user needs root")
        self.open("secret")
        self.say("secret", "hello")
        running = self.c.wait_tokens(self.c.generate(raw=True, max_tokens=0), 1)
        for path in (self.house.folder, self.house.folder / "run"):
            path.chmod(0o755)
        os.chmod(self.house.socket, 0o666)
        r, w = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(r)
            os.write(w, self.as_nobody().encode())
            os._exit(0)
        os.close(w)
        with os.fdopen(r) as f:
            told = f.read()
        os.waitpid(child, 0)
        self.assertEqual(told, "fine")
        self.assertEqual(self.say("secret", "again").error, None)
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=running.id)))
        self.c.wait(running)

    def as_nobody(self):
        """In a child: what another user gets. Return: "fine", or what was wrong."""
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            c = Client(self.house.socket)
            self.assertFalse(c.welcome.administrator)
            self.refused(c.wait(c.generate(conversation="secret")), "NOT_FOUND", "secret")
            self.refused(c.ask("conversation_close", pb.ConversationClose(name="secret")), "NOT_FOUND")
            self.assertEqual(list(c.ok("request_list", pb.RequestList()).requests.requests), [], "nothing of others")
            self.refused(c.ask("request_kill", pb.RequestKill(request=1)), "NOT_FOUND")
            self.refused(c.ask("model_unload", pb.ModelUnload()), "DENIED")
            events = c.request("subscribe", pb.Subscribe(interval_ms=100))
            c.take()
            self.assertEqual((events.events[0].running, list(events.events[0].requests)), (1, []))
            c.ok("conversation_open", pb.ConversationOpen(name="secret"))  # the name is free for each owner
            self.assertEqual(len(c.wait(c.generate(conversation="secret", max_tokens=3)).ids), 3)
            return "fine"
        except BaseException:  # whatever it is, the parent reports it
            return traceback.format_exc()


if __name__ == "__main__":
    tap.main()
