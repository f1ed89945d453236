"""The booking team's pages: plain HTML that works without JavaScript and loads nothing from other hosts."""
