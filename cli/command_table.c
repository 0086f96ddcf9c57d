/* SPDX-License-Identifier: Apache-2.0 */
/* What each command is called, takes, and says of itself. docs/man/hearthctl.1 and the shell completion follow it (tests). */
#include "cli/command.h"

enum { ANY = 1 << 30 };

static const struct command commands[] = {
    { "ask", "[PROMPT...]", "have a question answered",
      "The answer goes to standard output as it is made; all else goes to standard error.\n"
      "Without a prompt, or where a word of it is -, standard input is read.\n"
      "Ctrl-C stops the answer.\n"
      "\n"
      "  hearthctl ask why is the sky blue\n"
      "  hearthctl ask --system 'Answer in French.' 'Where is the station?'\n"
      "  git diff | hearthctl ask 'Write a commit message for this change:' -\n"
      "  hearthctl ask --file notes.txt 'Summarise this text:'\n"
      "  hearthctl ask --image photo.jpg 'What is in this picture?'\n"
      "  hearthctl ask --tools car.json 'open my window a little'\n"
      "  hearthctl ask --json --seed 7 'Name a colour' | jq -r .text\n"
      "  hearthctl ask --level fast --deadline 5s 'A word for happy?'\n",
      ARGS_GENERATE | ARGS_PROMPT | ARGS_TOOLS, 0, ANY, command_ask },
    { "complete", "[TEXT...]", "continue a text, without a chat template",
      "The text is given to the model as it is, and only what it adds is printed. In a pipe\n"
      "the output has exactly the bytes of the model, and the input all of its line feeds.\n"
      "\n"
      "  hearthctl complete --max-tokens 40 'Once upon a time'\n"
      "  hearthctl complete --stop ';' 'int max(int a, int b) { return'\n"
      "  hearthctl complete --temperature 0 < beginning.txt\n",
      ARGS_GENERATE | ARGS_PROMPT, 0, ANY, command_complete },
    { "chat", "", "talk with the model",
      "Lines are edited as in a shell; what was said is kept in memory only. Ctrl-C stops an\n"
      "answer, Ctrl-D leaves, /help lists what else there is. In a pipe, each line is a\n"
      "question.\n"
      "\n"
      "  hearthctl chat\n"
      "  hearthctl chat --system 'You are a patient teacher of arithmetic.' --stats\n"
      "  hearthctl chat --tools car.json\n"
      "  hearthctl chat --conversation holidays\n",
      ARGS_GENERATE | ARGS_TOOLS, 0, 0, command_chat },
    { "status", "", "say how hearthd is",
      "Which model is loaded, how fast it is, how much memory it takes, what went wrong.\n"
      "\n"
      "  hearthctl status\n"
      "  hearthctl status --json | jq .state\n",
      0, 0, 0, command_status },
    { "ps", "", "list the requests that hearthd has now",
      "Your own; an administrator sees all. READ is how much of the prompt has been read, OUT\n"
      "how many tokens have been written.\n"
      "\n"
      "  hearthctl ps\n",
      0, 0, 0, command_ps },
    { "top", "", "watch hearthd live",
      "q leaves, the arrow keys select a request, k cancels it. With --json: one status object\n"
      "per line, until Ctrl-C.\n"
      "\n"
      "  hearthctl top\n"
      "  hearthctl top --json --interval 200ms | jq .decode_tok_s\n",
      ARGS_TOP, 0, 0, command_top },
    { "cancel", "SERIAL...", "end requests by their serial number",
      "Numbers are those of `hearthctl ps`. You may end your own, an administrator any.\n"
      "\n"
      "  hearthctl cancel 41\n",
      0, 1, ANY, command_cancel },
    { "model list", "", "list the models in the store",
      "\n"
      "  hearthctl model list\n"
      "  hearthctl model list --json | jq -r '.[].name'\n",
      0, 0, 0, command_model_list },
    { "model info", "[NAME]", "say all that is known of a model (default: the active one)",
      "Its levels are known while it is loaded.\n"
      "\n"
      "  hearthctl model info\n"
      "  hearthctl model info gemma3-270m\n",
      0, 0, 1, command_model_info },
    { "model add", "FILE", "copy a GGUF file into the store, check it and use it",
      "The file is opened by you and copied by hearthd, so it may lie in your home directory.\n"
      "If it is refused, or anything goes wrong on the way, all stays as it was.\n"
      "For administrators.\n"
      "\n"
      "  sudo hearthctl model add gemma-3n-E2B-it-Q4_0.gguf --name gemma3n\n"
      "  sudo hearthctl model add gemma.gguf --no-activate --sha256 4d5e...\n",
      ARGS_ADD | ARGS_WAIT, 1, 1, command_model_add },
    { "model activate", "NAME [VERSION]", "use another model of the store",
      "Without a version: the newest. If the model does not work, the present one stays.\n"
      "For administrators.\n"
      "\n"
      "  sudo hearthctl model activate gemma3-270m\n",
      ARGS_WAIT, 1, 2, command_model_activate },
    { "model remove", "NAME [VERSION]", "remove a model from the store",
      "Without a version: all of them, but never the active one. For administrators.\n"
      "\n"
      "  sudo hearthctl model remove gemma3-270m\n",
      0, 1, 2, command_model_remove },
    { "model load", "[NAME]", "load a model now (default: the active one)",
      "Otherwise the next request loads it. For administrators.\n"
      "\n"
      "  sudo hearthctl model load\n",
      ARGS_WAIT, 0, 1, command_model_load },
    { "model unload", "", "give the model's memory back",
      "The next request loads it again. For administrators.\n"
      "\n"
      "  sudo hearthctl model unload\n",
      0, 0, 0, command_model_unload },
    { "conversation open", "NAME", "begin a conversation that hearthd keeps",
      "hearthd keeps what was said ready, so that a long beginning is read only once. Only you\n"
      "can use it. A name has 1 to 64 of A-Z a-z 0-9 . _ -\n"
      "\n"
      "  hearthctl conversation open recipes --system \"$(cat cookbook.txt)\"\n"
      "  hearthctl ask --conversation recipes 'What can I make of three eggs?'\n"
      "  hearthctl conversation close recipes\n",
      ARGS_SYSTEM, 1, 1, command_conversation_open },
    { "conversation close", "NAME", "forget a conversation",
      "\n"
      "  hearthctl conversation close recipes\n",
      0, 1, 1, command_conversation_close },
    { "tokenize", "[TEXT...]", "show the tokens of a text",
      "Without a text, or where a word of it is -, standard input is read, byte by byte.\n"
      "\n"
      "  hearthctl tokenize 'Good morning'\n"
      "  hearthctl tokenize --count < report.txt\n"
      "  hearthctl tokenize --special '<start_of_turn>user'\n",
      ARGS_TOKENIZE, 0, ANY, command_tokenize },
    { "metrics", "", "print counters for Prometheus",
      "\n"
      "  hearthctl metrics > /var/lib/node_exporter/hearth.prom\n",
      0, 0, 0, command_metrics },
    { "level", "NAME", "set a ceiling to the level of all requests",
      "auto removes it. For administrators.\n"
      "\n"
      "  sudo hearthctl level fast\n"
      "  sudo hearthctl level auto\n",
      0, 1, 1, command_level },
    { "drain", "", "let hearthd finish what runs and take nothing new",
      "For administrators, before an upgrade. A restart of hearthd ends it.\n"
      "\n"
      "  sudo hearthctl drain\n",
      0, 0, 0, command_drain },
    { "doctor", "", "check this machine, and say what to do",
      "CPU, memory, permissions, the socket, hearthd, the model, disk, sound, accelerators.\n"
      "Each line is ok, warn or fail; exit code 1 if one of them is fail.\n"
      "\n"
      "  hearthctl doctor\n"
      "  hearthctl doctor --json | jq '.checks[] | select(.level != \"ok\")'\n",
      0, 0, 0, command_doctor },
    { "help", "[COMMAND]", "explain hearthctl, or one of its commands",
      "\n"
      "  hearthctl help ask\n",
      0, 0, 2, command_explain },
    { "version", "", "print hearthctl's version",
      "The version of hearthd is in `hearthctl status`.\n"
      "\n"
      "  hearthctl version\n",
      0, 0, 0, command_version },
};

const struct command *command_table(size_t *ret_n)
{
    *ret_n = sizeof(commands) / sizeof(commands[0]);
    return commands;
}
