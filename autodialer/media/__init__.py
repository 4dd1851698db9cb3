"""Pure RTP, G.711, DTMF, sound import and pacing; `shell` has the sockets and the process."""
