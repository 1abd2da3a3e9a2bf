"""Every bound of the service, once, with its unit: what it guards, and what goes wrong on each side of it."""

from __future__ import annotations

MAX_REQUEST_BYTES = 20 * 1024 * 1024
"""One request, as it arrives and after decompression. Default of `max_recv_msg_size_mib`. Both are checked while the
body streams in, so a bomb of 200 MiB of zeros costs this much memory and no more.

The SDKs send at most 512 spans a request, 0.4 MB at 764 bytes a span; LLM spans that carry whole prompts average
100 KB and more, which makes 50 MB. Too low: such batches are refused for good (413) and their cost is lost, so raise it
where prompts are captured. Too high: every request in flight may hold this much twice (received and decoded)."""

INFLATE_CHUNK_BYTES = 256 * 1024
"""Step in which a compressed body is inflated. Smaller: more calls for the same bytes. Larger: a bomb overshoots the
cap by that much before it is noticed."""

MAX_SPANS_PER_REQUEST = 100_000
"""Spans of one request, counted before they are decoded. An empty span takes 2 bytes on the wire and about 300 in
columns, so 20 MiB of them would take 1.5 GB. Too low: large batches of a gateway are refused."""

MAX_ATTRIBUTES_PER_REQUEST = 1_000_000
"""Attributes of one request, counted before they are decoded: 2 bytes on the wire, about 90 in columns when empty.
100,000 spans may have 10 each, 512 may have 1,950 each."""

MAX_ATTRIBUTES_PER_SPAN = 1_024
"""Attributes kept of one span; usage, model and cost first, then in the order sent. The SDK's own limit is 128, but
dialects that flatten messages (`...messages.17.content`) reach thousands. Too low: searchable detail is lost.
Too high: one agent loop that repeats its history makes rows of megabytes."""

MAX_EVENTS_PER_SPAN = 256
"""Events, and likewise links, kept of one span; the SDK's own limit is 128. They become one JSON text per span."""

MAX_EVENTS_PER_REQUEST = 100_000
"""Events and links of one request. They are decoded one by one (about 5 us each), so this bounds the time that one
request can take from the others to half a second."""

MAX_STRING_BYTES = 64 * 1024
"""One text value; longer ones are cut at a character and end in `TRUNCATION_MARK`. Keys from which usage, model or
cost are read are never cut. Too low: prompts lose their end. Too high: a page of 100 spans is 100 times this."""

TRUNCATION_MARK = "…[truncated]"
"""Ends every text that was cut, so that nobody takes it for the whole."""

MAX_NAME_BYTES = 1024
"""A model, provider, operation, response id or owner as a column of the ledger; a longer one is cut. It stands in many
columns and is compared in every rollup: eighteen spans with model names of 10 MB made the collector take 2 GB."""

MAX_STRUCTURED_BYTES = 1024 * 1024
"""One array or map value on the wire; a larger one is replaced by a note of its size. Parsed it takes up to 28 times
its wire size."""

MAX_STRUCTURED_NODES = 50_000
"""Elements of one array or map value that are written out; the rest is dropped. An empty element takes 2 bytes on the
wire and 1 us to write."""

MAX_VALUE_DEPTH = 32
"""Arrays and maps inside each other; deeper ones are cut. protobuf's own parser refuses 100."""

DECODE_PART_BYTES = 16 * 1024 * 1024
"""Bodies decoded at a time. Larger: decoding takes about seven times as much memory on the way. Smaller: the fixed cost
of a part, about 2 ms, shows."""

DECODE_SLICE_BYTES = 2 * 1024 * 1024
"""Wire bytes that a parser opens in one call, which holds the interpreter lock, about 6 ms. Larger: the receivers
stutter. Smaller: more calls for the same bytes."""

MAX_CONCURRENT_REQUESTS = 1_024
"""Requests of one receiver that may wait for their commit. Too low: clients that wait on a group commit starve it.
Too high: memory, up to `MAX_REQUEST_BYTES` each; the pipeline's own byte budget refuses before that."""

RETRY_AFTER_SECONDS = 1
"""Hint sent with every retryable refusal. OpenTelemetry SDKs give a request 10 s in all and 6 tries: a longer hint
makes them give up after one or two, a shorter one makes a full collector fuller."""

MAX_IN_FLIGHT_BYTES = 128 * 1024 * 1024
"""Bodies that one receiver holds at once, partly received ones included. Above it new bytes are refused with a retry
hint. Too low: a few large batches shut out all others. Too high: slow senders of large bodies, or a disk that stalls,
fill the memory: the whole collector is to fit into 512 MB at full rate, of which bodies take 10."""

MAX_SILENCE_SECONDS = 20.0
"""A sender may be silent so long in the middle of a body; then its place is given to others. Connections whose peer is
gone without a word would else hold `MAX_CONCURRENT_REQUESTS` for good. Lower: senders on a bad line must start anew."""

MAX_CATALOGUE_BYTES = 64 * 1024 * 1024
"""One price catalogue, as fetched. The largest has 3.2 MB today. Too low: a grown one is refused and prices grow old.
Too high: a wrong URL fills the memory, with Python objects of about ten times this."""

MAX_ESTIMATED_TEXT_CHARACTERS = 2 * 1024 * 1024
"""Captured text of one span from which its tokens are estimated, input and output together; the rest is not counted and
the estimate says so. Counting takes about 50 ms at this size. Too low: long contexts are under-counted. Too high: one
span holds up the applier."""

MAX_CALIBRATIONS = 1_024
"""Models, each with input and output apart, of which the tokens per character are kept in memory, about 300 bytes each.
Too low: models that take turns forget each other. Names that are never the same again must not fill the memory."""

CALIBRATION_SPANS = 50
"""Calls with usage and captured text after which a model's own tokens per character are trusted. Lower: one odd call
(an image, a long tool list) decides. Higher: a new model is estimated by a general ratio for longer."""

CALIBRATION_SPANS_PER_PART = 32
"""Calls of one part (`collector.pipeline.PART_SPANS`) from which calibration learns, spread over the part. Higher: a
stream with captured text costs more, about 10 us per call and KB of text, and learns nothing more."""
