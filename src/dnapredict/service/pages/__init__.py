"""The booking team's pages: plain HTML that works without a script, and asks nothing of other hosts."""
