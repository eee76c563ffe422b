"""StatsD in all the dialects in use: lines of text, in datagrams or on a connection. Pure: no sockets, no clock.

    packet    = line *( "\\n" line ) [ "\\n" ]
    line      = name tags ":" value *( ":" value ) "|" type *( "|" section )
              | "_sc|" name "|" status *( "|" section )            a service check: a gauge of the status, 0 to 3
              | "_e{" n "," m "}:" title "|" text *( "|" section ) an event: a text of the tab statsd.events
    tags      = ""
              | "," key "=" value *( "," key "=" value )           as Influx writes them
              | ";" key "=" value *( ";" key "=" value )           Graphite
              | "#" key "=" value *( "," key "=" value )           Librato
              | "[" key "=" value *( "," key "=" value ) "]"       SignalFx; may stand amid the name
    type      = "c" counter | "g" gauge | "ms" | "h" | "d" percentile | "s" uniques
    value     = decimal number, finite; of a gauge with "+" or "-" a change; of "s" any text, and one alone
    section   = "@" rate                 0 < rate <= 1: the line stands for 1/rate events; not for "g" and "s"
              | "#" key [ ":" value ] *( "," key [ ":" value ] )   tags, as DogStatsD writes them
              | "T" seconds              when it was, since 1970
              | letters ":" …            left out: "c:" "e:" "card:", a container's; "d:" "h:" "m:" … of events

`lines` reads one line after another, and is what all else has to agree with. `gathering` reads them in bulk: it cuts
a megabyte of lines into columns (`columns`), finds each line's series by a hash of all but its value (`keys`), and
reads the values together (`decimals`). It needs numpy, and is imported when the first packet comes.
"""
