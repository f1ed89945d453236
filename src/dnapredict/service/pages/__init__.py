"""The booking team's pages: plain HTML without scripts and without requests to other hosts."""
