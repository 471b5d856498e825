"""The digest of the first draws (`draw.stream_digest`), as recorded. It stands apart because the parent has no torch."""

STREAM = "82660de37c1acede"
