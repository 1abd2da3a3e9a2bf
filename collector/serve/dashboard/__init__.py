"""The dashboard page: HTML, a style sheet and ES modules as they are served; no build step."""
