/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hearth.h: talk to hearthd, the assistant that the programs of this machine share.
 *
 * A client is one connection. A call sends a request; what comes of it arrives as events at the request's callback. There are
 * two ways to use it:
 *
 *   blocking    give NULL for @ret_id: the call returns when the request has ended, its events come meanwhile;
 *   event loop  give @ret_id: the call returns at once. Watch hearth_client_fd() for readability and call
 *               hearth_client_process() whenever it is readable; events come from there.
 *
 * Threads: a client belongs to one thread at a time. hearth_cancel() alone may be called from any thread, from inside a callback
 * and from a signal handler. Different clients are independent of each other. Inside a callback, new requests may be made with
 * @ret_id; a blocking call there returns -EDEADLK; the client must not be freed there (hearth_client_free() then does nothing).
 * After fork() only one of the two processes may use a client: let the child make its own.
 *
 * Callbacks are called from inside hearth_client_process(), hearth_client_wait() and blocking calls, one at a time, and never from
 * a call that was given @ret_id. A blocking call also serves the other requests of its client. @fn may be NULL: nobody listens.
 * A program that does not process events costs itself and hearthd no memory: the socket fills, hearthd pauses the answer, and
 * hangs up when that lasts too long.
 *
 * Connection: it is made with the first request, without waiting for hearthd's welcome, and again with the first request after it
 * was lost. Requests in flight when
 * it is lost end with HEARTH_E_DISCONNECTED and are not sent again by the library: only the caller knows whether that is
 * wanted. (hearthd survives crashes of its worker by itself; a lost connection means that hearthd stopped or restarted.)
 *
 * Returns: 0; -errno when the library itself could not do it; in blocking mode a positive enum hearth_code when hearthd refused
 * the request. After each return of a call with a client that is not 0, hearth_client_error() has a sentence for people
 * (hearth_client_info() and hearth_cancel() leave none). All calls that send a request can return
 *   -ENOENT, -ECONNREFUSED   hearthd is not running
 *   -EACCES                  the socket is not for this user: it is for the group hearth
 *   -EAGAIN                  event loop: hearthd does not accept or read fast enough, or 1024 requests are in flight; process
 *                            events and try again. Blocking calls wait instead (for a connection: five seconds)
 *   -EDEADLK                 a blocking call inside a callback
 *   -EINVAL                  a name that is missing
 *   -E2BIG                   the request does not fit a frame (1 MiB), see hearth_generate()
 *   -ENOMEM, and another -errno of the system
 * and have then sent nothing.
 *
 * Texts: any bytes. Text that hearthd sends in `const char *` fields is UTF-8 and ends with NUL; the text of an answer is whole
 * UTF-8 characters with a size.
 *
 * Structs that the library hands out may grow at their end in later versions. The library never prints and raises no signal.
 */
#ifndef HEARTH_H
#define HEARTH_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HEARTH_API __attribute__((visibility("default")))
#else
#define HEARTH_API
#endif

#define HEARTH_TEXT_SIZE      ((size_t)-1) /* for a text's size: it ends with NUL */
#define HEARTH_SOCKET_DEFAULT "/run/hearth/hearth.sock"

struct hearth_client;
struct hearth_request;

/* Why a request was refused. Values are those of ErrorCode in hearth.proto. */
enum hearth_code {
    HEARTH_E_UNKNOWN = 100,      /* a code that this version of the library does not know */
    HEARTH_E_DISCONNECTED = 101, /* the connection was lost before the request ended */
    HEARTH_E_PROTOCOL = 1,       /* the two sides do not understand each other */
    HEARTH_E_VERSION = 2,        /* no common version of the protocol: update the older side */
    HEARTH_E_INVALID = 3,        /* a value of the request makes no sense; the sentence names it */
    HEARTH_E_UNSUPPORTED = 4,    /* this hearthd or this model cannot do it */
    HEARTH_E_DENIED = 5,         /* policy does not allow it */
    HEARTH_E_QUOTA = 6,          /* a quota of this client is used up */
    HEARTH_E_BUSY = 7,           /* the queue is full, or hearthd is stopping */
    HEARTH_E_NO_MODEL = 8,       /* no model is active, or it cannot be loaded */
    HEARTH_E_TOO_LONG = 9,       /* the prompt does not fit the context */
    HEARTH_E_DEADLINE = 10,      /* the deadline passed or cannot be met */
    HEARTH_E_CRASHED = 11,       /* the worker died twice under this request */
    HEARTH_E_NOT_FOUND = 12,
    HEARTH_E_EXISTS = 13,
    HEARTH_E_STORAGE = 14,   /* disk full or unreadable */
    HEARTH_E_BAD_MODEL = 15, /* a model file was refused */
    HEARTH_E_INTERNAL = 16   /* a fault of hearth */
};

enum hearth_role {
    HEARTH_ROLE_USER = 0,
    HEARTH_ROLE_MODEL = 1,
    HEARTH_ROLE_SYSTEM = 2,
    HEARTH_ROLE_TOOL = 3
};

enum hearth_class {
    HEARTH_CLASS_DEFAULT = 0,
    HEARTH_CLASS_BACKGROUND = 1,
    HEARTH_CLASS_INTERACTIVE = 2,
    HEARTH_CLASS_REALTIME = 3
};

enum hearth_finish {
    HEARTH_FINISH_UNKNOWN = 0,
    HEARTH_FINISH_STOP = 1, /* the model ended its turn, or a stop text appeared */
    HEARTH_FINISH_LENGTH =
        2, /* max_tokens or the context is used up, or 8 KiB by one call; a call that is not complete is left out */
    HEARTH_FINISH_CANCELLED = 3
};

enum hearth_state {
    HEARTH_STATE_NO_MODEL = 0,
    HEARTH_STATE_UNLOADED = 1, /* active, loads with the next request */
    HEARTH_STATE_LOADING = 2,
    HEARTH_STATE_READY = 3,
    HEARTH_STATE_CRASHED = 4, /* restarts after a back-off */
    HEARTH_STATE_DRAINING = 5
};

/* ---- what hearthd tells ---- */

struct hearth_usage {
    uint32_t prompt_tokens, cached_tokens, output_tokens;
    uint64_t queued_us, first_token_us, total_us; /* since hearthd received the request */
    uint64_t engine_us;                           /* this request's share of the engine's time */
    uint32_t replays;                             /* worker crashes survived */
    uint64_t
        energy_mj; /* its share of what the machine used in its steps; 0: nothing measures it */
};

struct hearth_level {
    const char *name;
    float cost;          /* share of the full level's bytes of weights per token, (0, 1] */
    const char *quality; /* what its makers measured: "MMLU 50.9 %", or "" */
};

struct hearth_model {
    const char *name, *version, *sha256;
    uint64_t size_bytes;
    int active, loaded;
    const char *architecture, *description;
    uint32_t context;        /* tokens */
    const char *prompt_form; /* "chat", "plain", "tools-v1" (takes tools) */
    size_t n_levels;
    const struct hearth_level *levels; /* known when the model is loaded */
    uint32_t layers;
    uint64_t parameters;
    const char *types; /* "Q4_0 210, F32 422" */
};

struct hearth_request_info { /* a request that hearthd has now */
    uint64_t serial;         /* for hearth_request_kill() */
    const char *app;
    uint32_t uid, pid;
    enum hearth_class request_class;
    const char *state; /* "queued", "prefill", "decode", "parked", "paused" */
    uint32_t prompt_tokens, cached_tokens, prefilled_tokens, output_tokens;
    const char *level;
    uint64_t age_us, engine_us;
    uint32_t replays;
    uint64_t energy_mj;
};

struct hearth_status {
    enum hearth_state state;
    const char *version;
    uint64_t uptime_us;
    const struct hearth_model *model; /* NULL: none is active */
    uint32_t clients, queued, running, parked;
    uint64_t served, refused, worker_restarts;
    const char *sandbox, *kernels;
    uint32_t threads;
    uint64_t rss_bytes, rss_anon_bytes; /* of the worker */
    uint32_t kv_pages_used, kv_pages_total;
    float prefill_tok_s, decode_tok_s;
    const char *level, *level_reason, *pressure;
    const char *last_error; /* why the model is not ready, or "" */
    uint64_t load_us;
    size_t n_requests;
    const struct hearth_request_info *requests; /* in events of hearth_subscribe() */
    uint64_t tokens_in, tokens_cached, tokens_out;
    float read_gb_s; /* weights read by steps that only write, while they ran; 0: none did lately */
    const char *weights; /* where they are: "mapped from the cache", "packed in memory", ... */
    uint64_t energy_mj;  /* of all steps since the start; 0: nothing measures it */
    float power_w;       /* of it over the last seconds */
    float temperature_c, temperature_limit_c; /* of the hottest place; limit 0: unknown */
    const char *power_supply;                 /* "mains, 80 %", "battery, 48 %", "" */
    const char *models_path;                  /* folder of the model store */
};

/* What an event says is in the members that its comment names; the others are 0. */
enum hearth_event_type {
    HEARTH_EVENT_QUEUED = 1, /* position, wait_ms, level and level_reason as they would be now */
    HEARTH_EVENT_STARTED,    /* prompt_tokens, cached_tokens, seed */
    HEARTH_EVENT_PROGRESS,   /* done, total, what */
    HEARTH_EVENT_TEXT,       /* text, text_size, token_ids, n_token_ids */
    HEARTH_EVENT_STATUS,     /* status; of hearth_status() it is followed by an END */
    HEARTH_EVENT_MODELS,     /* models, n_models; followed by an END */
    HEARTH_EVENT_REQUESTS,   /* requests, n_requests; followed by an END */
    HEARTH_EVENT_TOKENS,     /* count, token_ids, n_token_ids; followed by an END */
    HEARTH_EVENT_METRICS,    /* text, text_size; followed by an END */
    HEARTH_EVENT_END, /* the last event of each request: code, message, retry, retry_after_ms; for an answer that
                                was made also finish, usage, level, level_reason, model_name */
    HEARTH_EVENT_CALL /* text, text_size: a call that the model makes, whole, {"name": ..., "arguments": {...}} in JSON.
                         It fits the schema that was offered, so far as that is looked at (docs/TOOLS.md: names, required, type,
                         enum, const, x-verbatim); all else is the model's and must be checked. It comes before the text that the model says of it. */
};

/* Everything that it points to is valid until the callback returns. */
struct hearth_event {
    enum hearth_event_type type;
    uint64_t id; /* of the request */
    uint32_t position, wait_ms;
    uint32_t prompt_tokens, cached_tokens;
    uint64_t seed;
    uint64_t done, total;
    const char *what; /* "prefill" [tokens], "load", "pack", "verify", "copy" [bytes] */
    const char *text; /* [text_size], also ends with NUL */
    size_t text_size;
    const uint32_t *token_ids; /* [n_token_ids] */
    size_t n_token_ids;
    uint32_t count;
    const struct hearth_status *status;
    const struct hearth_model *models;
    size_t n_models;
    const struct hearth_request_info *requests;
    size_t n_requests;
    int code; /* 0, or enum hearth_code */
    const char *message;
    int retry;               /* the same request may succeed later... */
    uint32_t retry_after_ms; /* ...after this time; 0: no estimate */
    enum hearth_finish finish;
    const struct hearth_usage *usage;
    const char *level, *level_reason, *model_name;
};

typedef void (*hearth_event_fn)(void *context, const struct hearth_event *event);

/* ---- client ---- */

/**
 * hearth_client_new() - a client that is not connected yet
 * @socket_path: NULL: $HEARTH_SOCKET, else $XDG_RUNTIME_DIR/hearth/hearth.sock if it exists, else HEARTH_SOCKET_DEFAULT. Copied.
 * Return: 0 and @ret, for hearth_client_free(); -ENOMEM; -ENAMETOOLONG (a socket's path has at most 107 bytes); another -errno.
 */
HEARTH_API int hearth_client_new(const char *socket_path, struct hearth_client **ret);

/** hearth_client_free() - hang up; requests in flight are cancelled and their callbacks not called again. NULL is fine. Inside a callback: does nothing. Return: NULL. */
HEARTH_API struct hearth_client *hearth_client_free(struct hearth_client *c);

/** hearth_client_set_name() - what hearthd is told (nothing shows it yet); 1 to 64 bytes, copied. Default: the program's name. Return: 0, -EINVAL, -EBUSY (there is a connection, which has told the name). */
HEARTH_API int hearth_client_set_name(struct hearth_client *c, const char *name);

/** hearth_client_error() - the sentence for the last return of this client that was not 0, without a full stop; never NULL, valid until the next call with this client. */
HEARTH_API const char *hearth_client_error(const struct hearth_client *c);

/** hearth_client_socket() - the path in use; valid as long as the client. */
HEARTH_API const char *hearth_client_socket(const struct hearth_client *c);

/** hearth_client_fd() - one descriptor to watch for readability, the same for the client's whole life (an epoll(7) set); borrowed. */
HEARTH_API int hearth_client_fd(const struct hearth_client *c);

/**
 * hearth_client_process() - do what can be done without waiting, and call callbacks
 * Return: 0, also when the connection was lost (the requests have then ended with HEARTH_E_DISCONNECTED); -EDEADLK (from a
 * callback); -ENOMEM (the connection was closed and the requests have ended: an event could not be delivered).
 */
HEARTH_API int hearth_client_process(struct hearth_client *c);

/**
 * hearth_client_wait() - process events until request @id has ended, or @timeout_ms passed (-1: no limit)
 * Signals do not end it. 0 ms: what can be done without waiting.
 * Return: 0 (it ended well, or is not known any more); a positive enum hearth_code; -ETIMEDOUT (it goes on); -EDEADLK; -ENOMEM
 * as hearth_client_process(); another -errno.
 */
HEARTH_API int hearth_client_wait(struct hearth_client *c, uint64_t id, int timeout_ms);

/**
 * hearth_client_info() - what hearthd's welcome said: its name and version, and what policy allows this client
 * @ret_server: valid until the connection is lost. Pointers may be NULL.
 * Return: 0; -ENOTCONN (no welcome yet: it comes before the first event of a connection).
 */
HEARTH_API int hearth_client_info(const struct hearth_client *c, const char **ret_server,
                                  enum hearth_class *ret_class_ceiling, uint32_t *ret_max_in_flight,
                                  int *ret_administrator);

/**
 * hearth_cancel() - end a request early: its END comes soon, with HEARTH_FINISH_CANCELLED if it was making an answer
 * An @id that is not in flight is ignored: it may have ended meanwhile. Any thread, callbacks, signal handlers; the client must
 * not be freed meanwhile. It makes hearth_client_fd() readable: hearth_client_process() sends it.
 * Return: 0; -EINVAL (@id is 0); -EAGAIN (64 cancels wait to be sent).
 */
HEARTH_API int hearth_cancel(struct hearth_client *c, uint64_t id);

/*
 * ---- generation: a request is built, then sent any number of times ----
 * No model takes images, audio or video yet: a request with one ends with HEARTH_E_UNSUPPORTED. So does one with tools, unless
 * the model's prompt form is "tools-v1".
 */

/** hearth_request_new() - an empty request. Return: 0 and @ret, for hearth_request_free(); -ENOMEM. */
HEARTH_API int hearth_request_new(struct hearth_request **ret);
HEARTH_API struct hearth_request *hearth_request_free(struct hearth_request *q);

/**
 * hearth_request_message() - begin a new message of @role; parts follow
 * Order: at most one system message, first; then the user's and the model's in turns. hearthd checks it.
 * Return: 0, -EINVAL (role), -E2BIG (over 1024 messages), -ENOMEM. A failure leaves the request as it was.
 */
HEARTH_API int hearth_request_message(struct hearth_request *q, enum hearth_role role);
/**
 * hearth_request_text() - add text to the last message. @text: [size] or HEARTH_TEXT_SIZE; copied. Texts in a row are one text.
 * Return: 0, -EINVAL (no message yet, or @text is NULL), -E2BIG (over 4096 parts or 512 MiB in one request), -ENOMEM. A failure
 * leaves the request as it was.
 */
HEARTH_API int hearth_request_text(struct hearth_request *q, const char *text, size_t size);
/** hearth_request_image() - add an encoded image (JPEG, PNG, WebP). @data: [size] copied. Return: as hearth_request_text(). */
HEARTH_API int hearth_request_image(struct hearth_request *q, const void *data, size_t size);
/** hearth_request_audio() - add sound. @pcm: [n_samples] mono, s16, copied. Return: as hearth_request_text(). */
HEARTH_API int hearth_request_audio(struct hearth_request *q, const int16_t *pcm, size_t n_samples,
                                    uint32_t rate_hz);
/** hearth_request_video_frame() - add a frame of a video, encoded as an image. @time_us: its position. Return: as hearth_request_text(). */
HEARTH_API int hearth_request_video_frame(struct hearth_request *q, const void *data, size_t size,
                                          uint64_t time_us);
/**
 * hearth_request_call() - add a call that the model made to the last message, which is the model's, before its text
 * For apps that keep the history themselves; in a conversation hearthd has the calls. @json: [size] or HEARTH_TEXT_SIZE, as
 * HEARTH_EVENT_CALL brought it; copied.
 * Return: as hearth_request_text(); -EINVAL also for a message of another role, or an empty call.
 */
HEARTH_API int hearth_request_call(struct hearth_request *q, const char *json, size_t size);
/**
 * hearth_request_tool() - offer a function; calls of it come as HEARTH_EVENT_CALL
 * @json: {"name": ..., "description": ..., "parameters": {JSON Schema}}; copied; at most 256, of 64 KiB each. To answer a call, send
 * its result as a message of HEARTH_ROLE_TOOL in the same conversation, with the same tools.
 * Return: as hearth_request_text().
 */
HEARTH_API int hearth_request_tool(struct hearth_request *q, const char *json, size_t size);
/** hearth_request_stop() - a text that ends the answer and is no part of it; at most 8, of 1 to 64 bytes. Return: 0, -EINVAL, -E2BIG, -ENOMEM. */
HEARTH_API int hearth_request_stop(struct hearth_request *q, const char *text, size_t size);

/* Settings. What is not set takes the model's default. Values are checked by hearthd, which names a wrong one. */
HEARTH_API void
hearth_request_set_raw(struct hearth_request *q,
                       int raw); /* nonzero: no chat template, the text is continued */
HEARTH_API void hearth_request_set_temperature(struct hearth_request *q,
                                               float temperature); /* 0: greedy */
HEARTH_API void hearth_request_set_top_k(struct hearth_request *q, uint32_t top_k);
HEARTH_API void hearth_request_set_top_p(struct hearth_request *q, float top_p);
HEARTH_API void hearth_request_set_min_p(struct hearth_request *q, float min_p);
HEARTH_API void hearth_request_set_repetition_penalty(struct hearth_request *q, float penalty);
HEARTH_API void
hearth_request_set_seed(struct hearth_request *q,
                        uint64_t seed); /* the same seed and request give the same text */
HEARTH_API void hearth_request_set_max_tokens(struct hearth_request *q, uint32_t max_tokens);
HEARTH_API void hearth_request_set_class(struct hearth_request *q, enum hearth_class request_class);
HEARTH_API void hearth_request_set_deadline_ms(struct hearth_request *q, uint32_t deadline_ms);
HEARTH_API void hearth_request_set_level_may_drop(struct hearth_request *q, int may_drop);
HEARTH_API int hearth_request_set_level(
    struct hearth_request *q,
    const char *
        level); /* "auto", "fast", "balanced", "best", or a name. Return: 0, -EINVAL (over 64 bytes), -ENOMEM */
HEARTH_API int
hearth_request_set_conversation(struct hearth_request *q,
                                const char *name); /* continue it. Return: 0, -EINVAL, -ENOMEM */

/**
 * hearth_generate() - have an answer made; QUEUED, STARTED, PROGRESS and TEXT events, then END
 * @q: borrowed; may be changed, freed or sent again afterwards. Texts and media over 256 KiB, and as many smaller ones as would not
 * fit the frame otherwise, travel in sealed memory files, of which a request can have 8.
 * Return: see the top of this file; -E2BIG (what is not among the 8 largest parts is over 1 MiB together).
 */
HEARTH_API int hearth_generate(struct hearth_client *c, const struct hearth_request *q,
                               hearth_event_fn fn, void *context, uint64_t *ret_id);

/* ---- conversations: what was said, kept by hearthd, visible to its owner (uid) only ---- */

/** hearth_conversation_open() - @q: its messages begin the conversation; may be NULL. @name: 1..64 of [A-Za-z0-9._-]. */
HEARTH_API int hearth_conversation_open(struct hearth_client *c, const char *name,
                                        const struct hearth_request *q, hearth_event_fn fn,
                                        void *context, uint64_t *ret_id);
HEARTH_API int hearth_conversation_close(struct hearth_client *c, const char *name,
                                         hearth_event_fn fn, void *context, uint64_t *ret_id);

/* ---- questions ---- */

/** hearth_tokenize() - TOKENS. @parse_special: spellings of control tokens become those tokens. @count_only: no ids. At most 1 MiB. */
HEARTH_API int hearth_tokenize(struct hearth_client *c, const char *text, size_t size,
                               int parse_special, int count_only, hearth_event_fn fn, void *context,
                               uint64_t *ret_id);
/** hearth_status() - STATUS, once. */
HEARTH_API int hearth_status(struct hearth_client *c, hearth_event_fn fn, void *context,
                             uint64_t *ret_id);
/** hearth_subscribe() - STATUS with requests, at most one in @interval_ms (100..60000, 0: 1000), until cancelled. */
HEARTH_API int hearth_subscribe(struct hearth_client *c, uint32_t interval_ms, hearth_event_fn fn,
                                void *context, uint64_t *ret_id);
/** hearth_metrics() - METRICS: Prometheus text. */
HEARTH_API int hearth_metrics(struct hearth_client *c, hearth_event_fn fn, void *context,
                              uint64_t *ret_id);
/** hearth_requests() - REQUESTS: one's own; all of them for administrators. */
HEARTH_API int hearth_requests(struct hearth_client *c, hearth_event_fn fn, void *context,
                               uint64_t *ret_id);
/** hearth_request_kill() - end the request with this serial number: one's own; any for administrators. */
HEARTH_API int hearth_request_kill(struct hearth_client *c, uint64_t serial, hearth_event_fn fn,
                                   void *context, uint64_t *ret_id);
/** hearth_models() - MODELS of the store. */
HEARTH_API int hearth_models(struct hearth_client *c, hearth_event_fn fn, void *context,
                             uint64_t *ret_id);

/* ---- administration: HEARTH_E_DENIED for others ---- */

/** hearth_model_load() - load now. @name: NULL or "": the active model. PROGRESS, MODELS (one), END. */
HEARTH_API int hearth_model_load(struct hearth_client *c, const char *name, hearth_event_fn fn,
                                 void *context, uint64_t *ret_id);
HEARTH_API int hearth_model_unload(struct hearth_client *c, hearth_event_fn fn, void *context,
                                   uint64_t *ret_id);
/**
 * hearth_model_add() - copy a GGUF file into the store and check it. PROGRESS, MODELS (one), END.
 * @fd: the file, opened for reading by the caller; borrowed. @sha256: expected, 64 hex digits, or NULL. @activate: switch to it.
 */
HEARTH_API int hearth_model_add(struct hearth_client *c, const char *name, int fd,
                                const char *sha256, int activate, hearth_event_fn fn, void *context,
                                uint64_t *ret_id);
/** hearth_model_activate() - @version: NULL or "": the newest. */
HEARTH_API int hearth_model_activate(struct hearth_client *c, const char *name, const char *version,
                                     hearth_event_fn fn, void *context, uint64_t *ret_id);
/** hearth_model_remove() - @version: NULL or "": all versions that are not active. */
HEARTH_API int hearth_model_remove(struct hearth_client *c, const char *name, const char *version,
                                   hearth_event_fn fn, void *context, uint64_t *ret_id);
/** hearth_set_level() - a ceiling for everybody; "auto": none. */
HEARTH_API int hearth_set_level(struct hearth_client *c, const char *level, hearth_event_fn fn,
                                void *context, uint64_t *ret_id);
/** hearth_drain() - hearthd finishes what runs and refuses what comes. */
HEARTH_API int hearth_drain(struct hearth_client *c, hearth_event_fn fn, void *context,
                            uint64_t *ret_id);

/** hearth_code_name() - "DENIED" for HEARTH_E_DENIED, "UNKNOWN" for others; static. */
HEARTH_API const char *hearth_code_name(int code);

#ifdef __cplusplus
}
#endif
#endif
