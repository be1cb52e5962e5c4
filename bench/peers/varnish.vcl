# Varnish as a cache of its own: all else is as it comes. $ORIGIN is filled in by bench/servers.py.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "$ORIGIN";
}

sub vcl_recv {
    if (req.url == "/status") {
        return (synth(200, "ok"));
    }
}
