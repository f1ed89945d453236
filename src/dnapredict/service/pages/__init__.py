"""The booking team's pages: plain HTML that needs no script and asks nothing of any other host."""
