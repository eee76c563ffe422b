"""StatsD's door: datagrams and lines on connections, at UDP, TCP and unix sockets, as what their clients recorded."""
