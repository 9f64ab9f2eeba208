"""One file per verb: parse, call one pipeline, print."""
